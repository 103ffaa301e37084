//! From options to the fields of a storage, one after the other.

use std::path::Path;

use serde_json::{Value, json};

use super::{Given, Ordered, bad};
use crate::{Result, Secret, duration, file};

/// Options that are left, and the fields that were made of the others.
pub(super) struct Fields {
    given: Given,
    pub(super) object: Ordered,
}

impl Fields {
    pub(super) fn new(given: Given) -> Self {
        Self { given, object: Ordered::default() }
    }

    /// Returns all values of an option, which is used up.
    pub(super) fn all(&mut self, option: &str) -> Vec<Secret> {
        let (values, rest) =
            std::mem::take(&mut self.given).into_iter().partition(|(name, _)| name == option);
        self.given = rest;
        let values: Given = values;
        values.into_iter().map(|(_, value)| value).collect()
    }

    /// Returns the value of an option, the last of several.
    pub(super) fn take(&mut self, option: &str) -> Option<String> {
        self.all(option).pop().map(|value| value.reveal().to_owned())
    }

    /// Returns the value of an option, unless it is empty.
    pub(super) fn filled(&mut self, option: &str) -> Option<String> {
        self.take(option).filter(|text| !text.is_empty())
    }

    pub(super) fn is_on(&mut self, option: &str) -> bool {
        self.take(option).is_some_and(|value| value == "true")
    }

    /// Makes a field of an option, empty if that is not given.
    pub(super) fn text(&mut self, option: &str, field: &'static str) {
        let text = self.take(option).unwrap_or_default();
        self.object.put(field, text);
    }

    /// Makes a field of an option, unless that is empty.
    pub(super) fn text_if(&mut self, option: &str, field: &'static str) {
        if let Some(text) = self.filled(option) {
            self.object.put(field, text);
        }
    }

    /// Makes a field of a switch that is on.
    pub(super) fn switch_if(&mut self, option: &str, field: &'static str) {
        if self.is_on(option) {
            self.object.put(field, true);
        }
    }

    /// Makes a field of a whole number, unless that is not given.
    pub(super) fn whole_if(&mut self, option: &str, field: &'static str) -> Result<()> {
        if let Some(number) = self.whole(option)? {
            self.object.put(field, number);
        }
        Ok(())
    }

    pub(super) fn whole(&mut self, option: &str) -> Result<Option<i64>> {
        let read = |text: String| text.parse().map_err(|_| bad(option, "it is no whole number"));
        self.filled(option).map(read).transpose()
    }

    /// Makes a field of a point in time.
    pub(super) fn time_if(&mut self, option: &str, field: &'static str) -> Result<()> {
        if let Some(text) = self.filled(option) {
            text.parse::<kopia_format::Timestamp>().map_err(|_| bad(option, "it is no time in RFC 3339"))?;
            self.object.put(field, text);
        }
        Ok(())
    }

    /// Makes a field of a duration, as Go writes it.
    pub(super) fn duration_if(&mut self, option: &str, field: &'static str, default: &str) -> Result<()> {
        let text = self.filled(option).unwrap_or_else(|| default.into());
        duration::parse(&text).ok_or_else(|| bad(option, "it is no duration such as 15s"))?;
        self.object.put(field, text);
        Ok(())
    }

    /// Makes the fields of limits, which stand last.
    pub(super) fn limits(&mut self) -> Result<()> {
        for (option, field) in [
            ("max-upload-speed", "maxUploadSpeedBytesPerSecond"),
            ("max-download-speed", "maxDownloadSpeedBytesPerSecond"),
        ] {
            let read = |text: String| text.parse().map_err(|_| bad(option, "it is no number"));
            let rate: Option<f64> = self.filled(option).map(read).transpose()?;
            if let Some(rate) = rate.filter(|rate| *rate != 0.0) {
                self.object.put(field, number(rate));
            }
        }
        Ok(())
    }

    /// Makes the fields of directories that blobs are spread over.
    pub(super) fn sharded(&mut self) -> Result<()> {
        let shards = if self.is_on("flat") { json!([]) } else { Value::Null };
        self.object.put("dirShards", shards);
        self.whole_if("list-parallelism", "listParallelism")?;
        self.limits()
    }

    /// Makes the fields of who asks Google.
    pub(super) fn google(&mut self) -> Result<()> {
        let (name, is_embedded) = (self.filled("credentials-file"), self.is_on("embed-credentials"));
        match name {
            Some(name) if is_embedded => {
                let text = file::read(Path::new(&name))?;
                let json: Value = serde_json::from_str(&text)
                    .map_err(|_| bad("credentials-file", "the file holds no JSON"))?;
                self.object.put("credentials", json);
            }
            Some(name) => self.object.put("credentialsFile", name),
            None => {}
        }
        self.switch_if("read-only", "readOnly");
        Ok(())
    }

    /// Returns the fields, once all options are used up.
    pub(super) fn finish(self) -> Result<Ordered> {
        match self.given.first() {
            Some((name, _)) => Err(bad(name, "it means nothing to this kind of storage")),
            None => Ok(self.object),
        }
    }
}

/// Writes a number as Go does: a whole one without a fraction.
pub(super) fn number(rate: f64) -> Value {
    if rate.fract() == 0.0 && rate.abs() < 9e15 { json!(rate as i64) } else { json!(rate) }
}
