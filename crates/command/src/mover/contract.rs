//! What the controller sets, and what it means to a restore.
//!
//! Nothing here touches a repository or a volume; what makes no sense is refused by the name of its variable.
//!
//! | module | what |
//! |---|---|
//! | `dispatch` | what was called, and becoming the original script for other operations |
//! | `environment` | the table of all variables |
//! | `backend`, `configuration`, `network`, `place` | where the repository is |
//! | `selection`, `arguments`, `settings` | what to restore, and how |

pub(crate) mod arguments;
pub(crate) mod backend;
pub(crate) mod configuration;
pub(crate) mod dispatch;
pub(crate) mod environment;
mod network;
pub(crate) mod place;
pub(crate) mod selection;
pub(crate) mod settings;
