//! Times as DOS has them, for readers that know no better: in steps of two seconds, from 1980 to 2107. They
//! have no zone, and are UTC here.

const DAY: i64 = 24 * 60 * 60;

/// Returns time and date.
pub(super) fn dos(seconds: i64) -> (u16, u16) {
    let (year, month, day) = date(seconds.div_euclid(DAY));
    let rest = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    match year {
        ..1980 => (0, 1 << 5 | 1),
        2108.. => (23 << 11 | 59 << 5 | 29, 127 << 9 | 12 << 5 | 31),
        _ => (
            ((hour << 11) | (minute << 5) | (second / 2)) as u16,
            (((year - 1980) << 9) | (month << 5) | day) as u16,
        ),
    }
}

/// Returns year, month and day of a day since 1970, of the Gregorian calendar.
///
/// Years are taken to begin in March, so that the day that some have more is their last.
fn date(days: i64) -> (i64, i64, i64) {
    const CYCLE: i64 = 146_097;
    let days = days.saturating_add(719_468);
    let (cycle, day) = (days.div_euclid(CYCLE), days.rem_euclid(CYCLE));
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (cycle * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (59, (1970, 3, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_454, (2026, 1, 1)),
        ] {
            assert_eq!(date(days), expected);
        }
        (0..200_000).fold(date(-1), |before, day| {
            let after = date(day);
            assert!(after > before, "{day}");
            after
        });
    }

    #[test]
    fn what_dos_does_not_know_is_the_nearest() {
        assert_eq!(dos(-5), (0, 33));
        assert_eq!(dos(i64::MIN), (0, 33));
        assert_eq!(dos(i64::MAX).1 >> 9, 127);
        // 2020-01-02 03:04:05.
        assert_eq!(dos(1_577_934_245), (3 << 11 | 4 << 5 | 2, 40 << 9 | 1 << 5 | 2));
    }
}
