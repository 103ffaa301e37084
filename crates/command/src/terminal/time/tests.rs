use super::*;

fn berlin() -> TimeZone {
    // By rule, so that no time zone database is needed.
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
}

/// A Wednesday.
fn now() -> Zoned {
    "2026-04-15T12:34:56Z".parse::<jiff::Timestamp>().unwrap().to_zoned(berlin())
}

fn at(text: &str) -> String {
    When::parse(text, &now()).unwrap().at.unwrap().to_string()
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
    let assumed = |text| When::parse(text, &now()).unwrap().assumed;
    assert_eq!(assumed("2026-03-02").unwrap(), "before 2026-03-03 00:00:00 CET");
    assert_eq!(assumed("yesterday").unwrap(), "before 2026-04-15 00:00:00 CEST");
    assert_eq!(assumed("2026-03-02T10:30:05Z"), None);
}

#[test]
fn words_are_times_too() {
    for (text, bound) in [
        ("now", "before 2026-04-15T12:34:56Z"),
        ("today", "before 2026-04-15T22:00:00Z"),
        ("yesterday", "before 2026-04-14T22:00:00Z"),
        ("Yesterday", "before 2026-04-14T22:00:00Z"),
        ("last-week", "before 2026-04-12T22:00:00Z"),
        ("last month", "before 2026-03-31T22:00:00Z"),
        ("last-year", "before 2025-12-31T23:00:00Z"),
        ("3-days-ago", "before 2026-04-12T22:00:00Z"),
        ("3 days ago", "before 2026-04-12T22:00:00Z"),
        ("3d", "before 2026-04-12T22:00:00Z"),
        ("2w", "before 2026-04-01T22:00:00Z"),
        ("1m", "before 2026-03-15T23:00:00Z"),
        ("2years-2months-2days-ago", "before 2024-02-13T23:00:00Z"),
        ("1y2mo", "before 2025-02-15T23:00:00Z"),
        ("12h", "before 2026-04-15T00:34:56Z"),
        ("90min-ago", "before 2026-04-15T11:04:56Z"),
        ("2026-03-02T10:30:05 UTC", "before 2026-03-02T10:30:06Z"),
        ("2026-03-02 10:30 +02:00", "before 2026-03-02T08:31:00Z"),
        ("2026-03-02 UTC", "before 2026-03-03T00:00:00Z"),
    ] {
        assert_eq!(at(text), bound, "{text}");
    }
    for (text, pick) in [("latest", Pick::Newest(0)), ("oldest", Pick::Oldest)] {
        let when = When::parse(text, &now()).unwrap();
        assert_eq!((when.at, when.pick), (None, pick), "{text}");
    }
    // Where the system has no database of zones, the name is not understood.
    if jiff::tz::TimeZone::get("Asia/Tokyo").is_ok() {
        assert_eq!(at("2026-03-02 10:30 Asia/Tokyo"), "before 2026-03-02T01:31:00Z");
    }
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
        "2026-03-02T10:30:05 Nowhere/City",
        "2026-03-02 10:30 ",
        "2026-03-02T10:30:05+5",
        "2026-03-02T10:30:05+05:99",
        "2026-03-02T10:30:05+99:00",
        "ago",
        "2x",
        "w2",
        "-",
        "2",
        "3-days-before",
        "999999999999d",
        "99999y",
        "+026",
        "２０２６",
        "9999",
    ] {
        assert!(When::parse(text, &now()).is_err(), "{text}");
    }
}
