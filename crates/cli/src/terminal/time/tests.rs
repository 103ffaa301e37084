use super::*;

fn berlin() -> TimeZone {
    // By rule, so that no time zone database is needed.
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

fn at(text: &str) -> String {
    When::parse(text, &berlin()).unwrap().at.to_string()
}

#[test]
fn the_end_of_the_unit_is_the_bound() {
    for (text, bound) in [
        ("2026", "before 2026-12-31T23:00:00Z"),
        ("2026-03", "before 2026-03-31T22:00:00Z"),
        ("2026-03-02", "before 2026-03-02T23:00:00Z"),
        ("2026-03-02T10", "before 2026-03-02T10:00:00Z"),
        ("2026-03-02 10:30", "before 2026-03-02T09:31:00Z"),
        ("2026-03-02T10:30:05", "before 2026-03-02T09:30:06Z"),
        ("2026-03-02T10:30:05.25", "by 2026-03-02T09:30:05.25Z"),
        ("2026-03-02T10:30:05Z", "before 2026-03-02T10:30:06Z"),
        ("2026-03-02t10:30:05z", "before 2026-03-02T10:30:06Z"),
        ("2026-03-02T10:30:05+05:30", "before 2026-03-02T05:00:06Z"),
        ("2026-03-02T10:30:05.000000001-01:00", "by 2026-03-02T11:30:05.000000001Z"),
        ("2026-03-02 10Z", "before 2026-03-02T11:00:00Z"),
        ("2024-02-29", "before 2024-02-29T23:00:00Z"),
    ] {
        assert_eq!(at(text), bound, "{text}");
    }
}

#[test]
fn an_hour_that_comes_twice_ends_with_its_second_time() {
    assert_eq!(at("2026-10-25T01"), "before 2026-10-25T00:00:00Z");
    assert_eq!(at("2026-10-25T02"), "before 2026-10-25T02:00:00Z");
    assert_eq!(at("2026-10-25T02:30"), "before 2026-10-25T01:31:00Z");
    assert_eq!(at("2026-10-25"), "before 2026-10-25T23:00:00Z");
}

#[test]
fn an_assumed_zone_is_told() {
    let assumed = |text| When::parse(text, &berlin()).unwrap().assumed;
    let told = assumed("2026-03-02").unwrap();
    assert!(told.contains("before 2026-03-03 00:00:00 +01:00 (2026-03-02T23:00:00Z)"), "{told}");
    assert_eq!(assumed("2026-03-02T10:30:05Z"), None);
}

#[test]
fn what_is_no_time() {
    for text in [
        "",
        "26",
        "02026",
        "2026-",
        "2026-13",
        "2026-02-30",
        "2026-3-2",
        "2026-03-02T",
        "2026-03-02T25",
        "2026-03-02Z",
        "2026-03-02T10:30:05.",
        "2026-03-02T10:30:05.1234567890",
        "2026-03-02T10.5",
        "2026-03-02T10:30:05 UTC",
        "2026-03-02T10:30:05+5",
        "2026-03-02T10:30:05+05:99",
        "2026-03-02T10:30:05+99:00",
        "latest",
        "+026",
        "２０２６",
        "9999",
    ] {
        assert!(When::parse(text, &berlin()).is_err(), "{text}");
    }
}
