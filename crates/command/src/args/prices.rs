//! `--prices`: what a provider takes for requests and bytes.

use std::str::FromStr;

/// What a provider takes, in whatever currency.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Prices {
    /// For 1,000 listings.
    listings: f64,
    /// For 1,000 reads.
    reads: f64,
    /// For 1,000,000,000 bytes that are read.
    gigabyte: f64,
    /// For 1,000 packs that are fetched from an archive.
    thaws: f64,
    /// For 1,000,000,000 bytes that are fetched from there.
    thawed_gigabyte: f64,
}

const THOUSAND: f64 = 1e3;
const GIGABYTE: f64 = 1e9;

impl Prices {
    /// Adds up what requests cost.
    pub(crate) fn of_requests(&self, listings: u64, reads: u64, bytes: u64) -> f64 {
        (self.listings * listings as f64 + self.reads * reads as f64) / THOUSAND
            + self.gigabyte * bytes as f64 / GIGABYTE
    }

    /// Adds up what fetching packs from an archive costs.
    pub(crate) fn of_thaw(&self, packs: u64, bytes: u64) -> f64 {
        self.thaws * packs as f64 / THOUSAND + self.thawed_gigabyte * bytes as f64 / GIGABYTE
    }
}

impl FromStr for Prices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut prices = Self::default();
        for part in text.split(',') {
            let (name, price) =
                part.split_once('=').ok_or_else(|| format!("{part:?} is not of the form NAME=PRICE"))?;
            let field = match name.trim() {
                "listings" => &mut prices.listings,
                "reads" => &mut prices.reads,
                "gigabyte" => &mut prices.gigabyte,
                "thaws" => &mut prices.thaws,
                "thawed-gigabyte" => &mut prices.thawed_gigabyte,
                other => {
                    return Err(format!(
                        "{other:?} has no price: there are listings, reads, gigabyte, thaws and thawed-gigabyte"
                    ));
                }
            };
            let parsed = price.trim().parse().ok().filter(|price: &f64| price.is_finite() && *price >= 0.0);
            *field = parsed.ok_or_else(|| format!("{price:?} is no price"))?;
        }
        Ok(prices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_added_up() {
        let prices: Prices =
            "reads=0.4,listings=5, gigabyte=0.09,thaws=30,thawed-gigabyte=0.01".parse().unwrap();
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(prices.of_requests(2000, 500, 3_000_000_000), 10.0 + 0.2 + 0.27);
        near(prices.of_thaw(100, 2_000_000_000), 3.0 + 0.02);
        near("gigabyte=1".parse::<Prices>().unwrap().of_requests(9, 9, 1), 1e-9);
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for wrong in ["", "reads", "reads=", "reads=-1", "reads=NaN", "reads=inf", "read=1", "reads=1,,"] {
            wrong.parse::<Prices>().unwrap_err();
        }
    }
}
