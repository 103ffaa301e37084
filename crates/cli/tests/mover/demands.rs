//! M1 to M20: what a replacement for the original script must do, each by its number.

mod asked;
mod ended;
mod pod;

use crate::common::{Pod, snapshot};

/// The identity of these tests.
const APP: &str = "app@media:/data";

fn pod() -> Pod {
    let pod = Pod::new();
    pod.write(|writer| {
        snapshot(writer, APP, "2026-01-01T00:00:00Z");
        snapshot(writer, APP, "2026-01-02T00:00:00Z");
    });
    pod
}
