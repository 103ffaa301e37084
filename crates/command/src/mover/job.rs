//! A restore Job from its environment to its end.
//!
//! | module | what |
//! |---|---|
//! | `opening` | from where the repository is to an open one, or to the original script |
//! | `choosing` | which snapshot, and what speaks against it |
//! | `archive` | what has to be fetched from an archive first |
//! | `missing` | whether "nothing to restore" is a first deployment or an error |
//! | `preflight` | what is looked at before the first write |
//! | `device` | the restore to the block device of a volume |
//! | `write` | the restore itself, and whether everything is there |

mod archive;
mod choosing;
mod device;
mod missing;
mod opening;
mod preflight;
mod write;

use std::path::Path;
use std::sync::Arc;

use crate::mover::account::line::SetupError;
use crate::mover::account::log::JobLog;
use crate::mover::account::metrics;
use crate::mover::account::outcome::JobOutcome;
use crate::mover::contract::backend::{self, Choice};
use crate::mover::contract::configuration::{self, Structured};
use crate::mover::contract::environment::{Environment, Variable};
use crate::mover::contract::place::Place;
use crate::mover::contract::selection;
use crate::mover::contract::settings::Settings;
use crate::terminal::signals::Interrupt;

/// What a restore works with.
pub(crate) struct Job<'a> {
    pub(crate) environment: &'a Environment,
    pub(crate) log: &'a Arc<JobLog>,
    pub(crate) interrupt: &'a Arc<Interrupt>,
    /// Whether metrics can be written where that is asked for.
    pub(crate) metrics: Result<(), SetupError>,
}

/// What the variables of a Job ask for.
struct Order {
    choice: Choice,
    settings: Settings,
}

/// Has the final report written to the file that an option or a variable names for metrics, unless that must
/// not be written.
///
/// Call it before anything can end: an old file goes on telling how an earlier restore ended.
pub(crate) fn request_metrics(
    log: &JobLog,
    option: Option<&Path>,
    environment: &Environment,
) -> Result<(), SetupError> {
    let Some(file) = option.or_else(|| environment.raw(Variable::MetricsFile).map(Path::new)) else {
        return Ok(());
    };
    // Whatever is wrong with these settings is said by who needs them.
    let structured = configuration::structured(environment);
    let choice = structured.and_then(|structured| backend::choose(environment, structured.as_ref()));
    let place = choice.as_ref().ok().map(|choice| &choice.place);
    // Where a device is written, no folder is.
    let target = match environment.raw(Variable::Device) {
        Some(_) => None,
        None => environment.raw(Variable::DataDir).map(Path::new),
    };
    metrics::check(file, place.and_then(Place::directory), target)?;
    log.write_metrics_to(file);
    Ok(())
}

impl Job<'_> {
    /// Runs the Job, and returns how it ended.
    pub(crate) fn run(&self) -> JobOutcome {
        self.restore().unwrap_or_else(|outcome| outcome)
    }

    fn restore(&self) -> Result<JobOutcome, JobOutcome> {
        self.log.info(&format!("kopia-rs {}: restore", env!("CARGO_PKG_VERSION")));
        let order = self.order(self.choose()?)?;
        self.announce(&order);
        self.metrics.clone()?;
        if let Some(path) = &order.settings.device {
            return self.restore_to_device(&order, path);
        }
        let target = preflight::is_there(&order.settings.target)?;
        let repository = opening::open(self, &order)?;
        let chosen = choosing::choose(self, &repository, &order.settings)?;
        preflight::check(&target, &chosen.root, order.settings.options.sparse, self.log)?;
        archive::files(&repository, &chosen.root, &order.settings)?;
        let outcome = write::restore(self, &chosen.snapshot, &chosen.root, &order.settings)?;
        Ok(chosen.doubted(outcome))
    }

    fn restore_to_device(&self, order: &Order, path: &Path) -> Result<JobOutcome, JobOutcome> {
        let settings = &order.settings;
        let device = device::open(path, settings)?;
        let repository = opening::open(self, order)?;
        let chosen = choosing::choose(self, &repository, settings)?;
        let file = device::the_file(&chosen.root, settings)?;
        archive::files(&repository, &file, settings)?;
        let outcome = device::restore(self, (&chosen.snapshot, &file), &device, settings)?;
        Ok(chosen.doubted(outcome))
    }

    /// Reads where the repository is.
    fn choose(&self) -> Result<(Choice, Option<Structured>), SetupError> {
        let structured = configuration::structured(self.environment)?;
        if structured.as_ref().is_some_and(|structured| structured.place.is_none()) {
            let name = configuration::NAME;
            self.log
                .info(&format!("{name} names no storage; the other variables say where the repository is"));
        }
        let choice = backend::choose(self.environment, structured.as_ref())?;
        Ok((choice, structured))
    }

    /// Reads what else is asked for. Storage that nobody knows here is left to the original script.
    fn order(&self, (choice, structured): (Choice, Option<Structured>)) -> Result<Order, JobOutcome> {
        choice.warnings.iter().for_each(|warning| self.log.warn(warning));
        if let Place::Unknown(_) = choice.place {
            return Err(opening::hand_over(self, &choice));
        }
        crate::process::prepare();
        let settings = Settings::read(self.environment, structured.as_ref())?;
        Ok(Order { choice, settings })
    }

    /// Logs what is about to be done, and which settings do not matter.
    fn announce(&self, Order { choice, settings }: &Order) {
        let (log, place) = (self.log, &choice.place);
        log.note(|report| {
            report.identity = Some(settings.wanted.identity.to_string());
            report.repository = Some(place.to_string());
        });
        log.info(&format!(
            "{}, target {}",
            selection::describe(&settings.wanted, place),
            settings.device.as_ref().unwrap_or(&settings.target).display()
        ));
        settings.notes.iter().for_each(|note| log.info(note));
        configuration::manual(self.environment).iter().for_each(|warning| log.warn(warning));
        let not_needed = self.environment.not_needed(place.kind());
        if !not_needed.is_empty() {
            log.info(&format!("not needed here: {}", not_needed.join(", ")));
        }
        let unknown = self.environment.unknown();
        if !unknown.is_empty() {
            log.warn(&format!("not known and ignored: {}", unknown.join(", ")));
        }
    }
}
