//! What is said of a restore Job, to people, to the controller and to programs.
//!
//! | module | what |
//! |---|---|
//! | `log` | the lines on standard error, and the end that is written exactly once |
//! | `outcome` | how a Job ended, with its exit status |
//! | `line` | the last line, which the controller shows |
//! | `discovery` | the identities that there are instead |
//! | `advice` | errors in the few words that the last line has room for |
//! | `report` | the same for programs |
//! | `termination`, `metrics` | the report as the container's message, and as Prometheus text |

pub(crate) mod advice;
mod discovery;
pub(crate) mod line;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod outcome;
pub(crate) mod report;
mod termination;
