//! How much may be asked of a server.
//!
//! People set limits for cost or for others on the same line, so a reader honours them. Authority: Kopia's
//! `repo/blob/throttling`.

/// Limits of what is asked of a store. `None` is without limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Reads of blobs, per second.
    pub reads_per_second: Option<f64>,
    /// Requests for lists, per second.
    pub lists_per_second: Option<f64>,
    /// Bytes that are read, per second.
    pub download_bytes_per_second: Option<f64>,
    /// Reads that are under way at once.
    pub concurrent_reads: Option<usize>,
}

/// Parses a number of bytes per second: `500K`, `20M`, `1.5GiB`. K, M and G are powers of 1024, as with
/// rclone and curl; KB, MB and GB are powers of 1000.
pub(crate) fn bytes_per_second(text: &str) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_suffix("/s").unwrap_or(text);
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let factor: f64 = match &*text[end..].trim_start().to_ascii_lowercase() {
        "" | "b" => 1.0,
        "k" | "ki" | "kib" => 1024.0,
        "m" | "mi" | "mib" => 1024f64.powi(2),
        "g" | "gi" | "gib" => 1024f64.powi(3),
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        _ => return None,
    };
    Some(number * factor).filter(|rate| rate.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_the_usual_suffixes() {
        for (text, rate) in [
            ("0", Some(0.0)),
            ("1500", Some(1500.0)),
            ("500K", Some(512_000.0)),
            ("1.5MiB/s", Some(1_572_864.0)),
            (" 2 mb ", Some(2e6)),
            ("1G", Some(1_073_741_824.0)),
            ("", None),
            ("M", None),
            ("-1", None),
            ("1T", None),
            ("1e9", None),
            ("1.2.3", None),
            ("NaN", None),
        ] {
            assert_eq!(bytes_per_second(text), rate, "{text}");
        }
        assert_eq!(bytes_per_second(&"9".repeat(400)), None);
    }
}
