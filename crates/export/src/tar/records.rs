//! Records of the pax format, which say what does not fit into a header.

use kopia_format::Timestamp;

/// Records that are gathered.
#[derive(Debug, Default)]
pub(super) struct Records(Vec<u8>);

impl Records {
    /// Adds `LENGTH KEY=VALUE` and a line break; the length counts its own digits.
    pub(super) fn add(&mut self, key: &str, value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + digits(length) {
            length = rest + digits(length);
        }
        self.0.extend_from_slice(length.to_string().as_bytes());
        self.0.push(b' ');
        self.0.extend_from_slice(key.as_bytes());
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn digits(mut number: usize) -> usize {
    let mut digits = 1;
    while number >= 10 {
        number /= 10;
        digits += 1;
    }
    digits
}

/// Writes a time in seconds, with as many decimals as it has.
pub(super) fn time(time: Timestamp) -> String {
    // A time counts nanoseconds up from its seconds, also before 1970.
    let (seconds, nanoseconds) = (time.seconds(), time.nanoseconds());
    let (sign, seconds, nanoseconds) = match (seconds, nanoseconds) {
        (0.., _) | (_, 0) => (if seconds < 0 { "-" } else { "" }, seconds.unsigned_abs(), nanoseconds),
        _ => ("-", seconds.unsigned_abs() - 1, 1_000_000_000 - nanoseconds),
    };
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        for length in 0..1200 {
            let mut records = Records::default();
            records.add("path", &vec![b'a'; length]);
            let text = std::str::from_utf8(records.bytes()).unwrap();
            let (stated, rest) = text.split_once(' ').unwrap();
            assert_eq!(stated.parse::<usize>().unwrap(), text.len());
            assert_eq!(rest.len(), "path=\n".len() + length);
        }
    }

    #[test]
    fn times_are_exact() {
        for (seconds, nanoseconds, text) in [
            (0, 0, "0"),
            (1_600_000_000, 0, "1600000000"),
            (1_600_000_000, 120_000_000, "1600000000.12"),
            (5, 1, "5.000000001"),
            (-1, 0, "-1"),
            (-10, 0, "-10"),
            (-1, 500_000_000, "-0.5"),
            (-2, 999_999_999, "-1.000000001"),
        ] {
            assert_eq!(time(Timestamp::new(seconds, nanoseconds).unwrap()), text);
        }
    }
}
