use super::*;

const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIOi+kQwqEQsZCgOnSrbacuKBK5WtsP5O6H/F49KPsAbk";
const OTHER: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIDW7fWYWLFbO2sbRq2doY87xeSFdw/ZN8b5lVYPqhtra";
const ECDSA: &str = "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBuolga86a21KnOuow01IrA2Byhb/jZ5xrBTNLbecCRmyUgurXSgRQRVzjjkPn5nX3/j1xbTg1mS/OPaOpwZMUM=";
const AUTHORITY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIG33VKqhIBR7ykvf1GuIE+DXkKoFqsfc2N80rkXVoBHx";
/// Of `KEY`, by `AUTHORITY`, for host.example and other.example, from 2020 to 2040; made by ssh-keygen.
const HOST_CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAILR6uGrfeLIOkp0TvYwLO8WZFbyrSm7ongPWyqfbx2OiAAAAIOi+kQwqEQsZCgOnSrbacuKBK5WtsP5O6H/F49KPsAbkAAAAAAAAAAAAAAACAAAAAmlkAAAAIQAAAAxob3N0LmV4YW1wbGUAAAANb3RoZXIuZXhhbXBsZQAAAABeC+EAAAAAAIOqfoAAAAAAAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIG33VKqhIBR7ykvf1GuIE+DXkKoFqsfc2N80rkXVoBHxAAAAUwAAAAtzc2gtZWQyNTUxOQAAAECaLjsddSXUn/QYrpEXkFAelStBoaaDSgi3JTnfbGRDUFqcsZ+ZOS3iDsrKjQZ5d1u40rZ2PMVoptHldNGpsP4H";
/// Of a user.
const USER_CERTIFICATE: &str = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIJe8swgXmVjrQ29qZBLr0IDR5dILzkY1gaLaWvg6tewGAAAAIHDIGhdQfcLwjAcceNpBaNrv/cNb2yspuefmjKXnPIM0AAAAAAAAAAAAAAABAAAAAmlkAAAAEAAAAAxob3N0LmV4YW1wbGUAAAAAXgvhAAAAAACDqn6AAAAAAAAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAgbfdUqqEgFHvKS9/Ua4gT4NeQqgWqx9zY3zSuRdWgEfEAAABTAAAAC3NzaC1lZDI1NTE5AAAAQMHgKpMtQN3TwEnUaI5eXkVXSxsc84rQGh+ZRbVM+mwhywzSfe3ygjh8GSuW5qYV+2STmAjizOm57+jFwN3p+AM=";
/// 2026-01-01.
const NOW: u64 = 1_767_225_600;

fn key(text: &str) -> PublicKey {
    parse_key(text).unwrap()
}

fn judge(text: &str, host: &str, port: u16, server: &str) -> Verdict {
    KnownKeys::of(text, host, port).key(&key(server))
}

#[test]
fn hosts_are_known_by_names_and_ports() {
    let text = format!(
        "# a comment\n\nhost.example,10.0.0.7 ssh-ed25519 {KEY} someone@somewhere\n[host.example]:2222 ssh-ed25519 {OTHER}\nbroken line\nhost.example ssh-ed25519 notbase64!\n"
    );
    for (host, port, server, verdict) in [
        ("host.example", 22, KEY, Verdict::Known),
        ("HOST.example", 22, KEY, Verdict::Known),
        ("10.0.0.7", 22, KEY, Verdict::Known),
        ("host.example", 2222, OTHER, Verdict::Known),
        ("host.example", 22, OTHER, Verdict::Changed(vec!["ssh-ed25519".into()])),
        ("host.example", 2222, KEY, Verdict::Changed(vec!["ssh-ed25519".into()])),
        ("host.example", 2223, KEY, Verdict::Unknown),
        ("other.example", 22, KEY, Verdict::Unknown),
        ("host.example", 22, ECDSA, Verdict::Changed(vec!["ssh-ed25519".into()])),
    ] {
        assert_eq!(judge(&text, host, port, server), verdict, "{host}:{port}");
    }
}

#[test]
fn one_of_several_keys_is_enough() {
    let text = format!("h ssh-ed25519 {OTHER}\nh ecdsa-sha2-nistp256 {ECDSA}\nh ssh-ed25519 {KEY}");
    assert_eq!(judge(&text, "h", 22, KEY), Verdict::Known);
    let kinds: Vec<_> = KnownKeys::of(&text, "h", 22).algorithms().iter().map(ToString::to_string).collect();
    assert_eq!(kinds, ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-ed25519"]);
}

#[test]
fn hashed_names_are_those_of_ssh_keygen() {
    let text = format!(
        "|1|lCpA3hl5iO77KwlzJwVIo+Ov2Rs=|+f0SSRHN7vRzYGAXlYGTH93H1dk= ssh-ed25519 {KEY}\n\
         |1|yrCDmedprGO+igysfi/MFdHLzmI=|M6oWatQhqZSRfXvXDFxRqKbDXv8= ssh-ed25519 {OTHER}\n"
    );
    assert_eq!(judge(&text, "host.example", 22, KEY), Verdict::Known);
    assert_eq!(judge(&text, "host.example", 2222, OTHER), Verdict::Known);
    assert_eq!(judge(&text, "host2.example", 22, KEY), Verdict::Unknown);
    assert_eq!(judge(&format!("|1|a ssh-ed25519 {KEY}\n|1|!|! x {KEY}"), "h", 22, KEY), Verdict::Unknown);
}

#[test]
fn patterns_have_stars_marks_and_exceptions() {
    let text = format!("*.example,!bad.example,h?st ssh-ed25519 {KEY}");
    for (host, verdict) in [
        ("a.example", Verdict::Known),
        ("a.b.example", Verdict::Known),
        ("bad.example", Verdict::Unknown),
        ("host", Verdict::Known),
        ("hoost", Verdict::Unknown),
        ("example", Verdict::Unknown),
    ] {
        assert_eq!(judge(&text, host, 22, KEY), verdict, "{host}");
    }
    for (pattern, host, is) in [
        ("*", "", true),
        ("a*b*c", "aXbXbc", true),
        ("a*b*c", "aXbXb", false),
        ("", "a", false),
        ("?", "", false),
    ] {
        assert_eq!(matches(pattern.as_bytes(), host.as_bytes()), is, "{pattern} {host}");
    }
}

#[test]
fn a_revoked_key_is_never_known() {
    let text = format!("h ssh-ed25519 {KEY}\n@revoked * ssh-ed25519 {KEY}");
    assert_eq!(judge(&text, "h", 22, KEY), Verdict::Revoked);
    assert_eq!(judge(&text, "other", 22, OTHER), Verdict::Unknown);
}

#[test]
fn an_authority_vouches_by_certificates_alone() {
    let text = format!("@cert-authority *.example ssh-ed25519 {AUTHORITY}");
    assert_eq!(judge(&text, "host.example", 22, KEY), Verdict::Unknown);
    assert_eq!(judge(&text, "host.example", 22, AUTHORITY), Verdict::Unknown, "an authority is no host");

    let certificate = Certificate::from_openssh(HOST_CERTIFICATE).unwrap();
    let verdict =
        |text: &str, host: &str, now| KnownKeys::of(text, host, 22).certificate(&certificate, host, now);
    assert_eq!(verdict(&text, "host.example", NOW), Verdict::Known);
    assert_eq!(verdict(&text, "OTHER.example", NOW), Verdict::Known);
    assert!(
        matches!(verdict(&text, "third.example", NOW), Verdict::Invalid(why) if why.contains("another host"))
    );
    assert!(
        matches!(verdict(&text, "host.example", 1), Verdict::Invalid(why) if why.contains("not valid now"))
    );
    let unknown = format!("@cert-authority * ssh-ed25519 {OTHER}");
    assert!(matches!(verdict(&unknown, "host.example", NOW), Verdict::Invalid(_)));
    for revoked in [KEY, AUTHORITY] {
        let text = format!("{text}\n@revoked * ssh-ed25519 {revoked}");
        assert_eq!(verdict(&text, "host.example", NOW), Verdict::Revoked);
    }
    let user = Certificate::from_openssh(USER_CERTIFICATE).unwrap();
    let known = KnownKeys::of(&text, "host.example", 22);
    assert!(
        matches!(known.certificate(&user, "host.example", NOW), Verdict::Invalid(why) if why.contains("none of a host"))
    );
}

#[test]
fn the_line_to_add_makes_a_host_known() {
    let line = line("Host.example", 2222, &key(KEY));
    assert_eq!(line, format!("[host.example]:2222 ssh-ed25519 {KEY}"));
    assert_eq!(judge(&line, "host.example", 2222, KEY), Verdict::Known);
}
