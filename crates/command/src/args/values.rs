//! How values of arguments are parsed, and what the help says of them.

use std::os::unix::ffi::OsStringExt;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use kopia_rs::diagnosis::text::as_stored as stored;
use kopia_rs::restore::{self, Existing, PageCache};
use kopia_rs::storage::{IoMode, ThawSpeed};

use crate::terminal::progress::Wanted;

/// Takes a name as kopia stores it.
pub(super) fn as_stored() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|text| stored(&text.into_vec()))
}

pub(super) fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err("a percentage is above 0, and 100 at most".into()),
    }
}

/// Parses an option that takes one of a few names, each with what it does.
pub(super) fn one_of<T>(
    values: &'static [(&str, T)],
    about: fn(&T) -> &'static str,
) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    let values = values.iter().map(|(name, value)| PossibleValue::new(*name).help(about(value)));
    PossibleValuesParser::new(values).try_map(|name| name.parse::<T>())
}

pub(super) fn about_io(mode: &IoMode) -> &'static str {
    match mode {
        IoMode::Auto => "The fastest way as measured; today that is pread",
        IoMode::Map => "Map packs into memory on local file systems, pread elsewhere",
        IoMode::Pread => "Read with pread, never map",
    }
}

pub(super) fn about_progress(wanted: &Wanted) -> &'static str {
    match wanted {
        Wanted::Auto => "A bar on a terminal, a line every 5 seconds elsewhere",
        Wanted::Lines => "A line every 5 seconds",
        Wanted::Json => "A line of JSON every second, and one at the end",
        Wanted::None => "Not at all",
    }
}

pub(super) fn about_thaw(speed: &ThawSpeed) -> &'static str {
    match speed {
        ThawSpeed::Bulk => "The cheapest: up to two days",
        ThawSpeed::Standard => "Some hours",
        ThawSpeed::Expedited => "Minutes, where the class has that",
        _ => "",
    }
}

pub(super) fn about_existing(existing: &Existing) -> &'static str {
    match existing {
        Existing::Verify => "Keep them if all their bytes are right, replace them otherwise",
        Existing::Skip => "Keep them if size and modification time are right, replace them otherwise",
        Existing::Overwrite => "Replace them",
        Existing::Error => "Leave them alone, and call that an error",
        _ => "",
    }
}

pub(super) fn about_sync(sync: &restore::Durability) -> &'static str {
    match sync {
        restore::Durability::None => "As cp and tar do",
        restore::Durability::Filesystem => "Once, before anything gets its final name",
        restore::Durability::Files => "Every file when it is written",
        _ => "",
    }
}

pub(super) fn about_page_cache(page_cache: &PageCache) -> &'static str {
    match page_cache {
        PageCache::Auto => "Files of up to a megabyte",
        PageCache::Keep => "Everything, for programs that read it at once",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_are_taken_as_kopia_stores_them() {
        assert_eq!(super::stored("ä/b".as_bytes()), "ä/b");
        // Go replaces every byte of a sequence that is cut off.
        assert_eq!(super::stored(b"a\xff/\xe2\x82b\xc3"), "a\u{fffd}/\u{fffd}\u{fffd}b\u{fffd}");
    }
}
