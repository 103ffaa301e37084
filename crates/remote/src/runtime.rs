//! One private runtime for clients that are asynchronous, on a thread of its own.
//!
//! SSH and HTTP/2 interleave many requests on one connection, which their crates do as tasks of tokio.
//! Everything else here blocks. So a store starts a [`Runtime`]; its calls hand over a job, a future, and
//! wait for what comes of it. Nothing is ever run on a caller's thread: a caller may be within a runtime of
//! its own, where starting or dropping another one panics. The runtime ends with its store, and takes along
//! the tasks that still run, with their connections and children.

use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A runtime of one thread.
#[derive(Debug)]
pub(crate) struct Runtime {
    handle: Handle,
    /// Ends the thread when it is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Starts the thread; `name` is what tools such as `top` call it.
    ///
    /// # Errors
    /// If the system gives no thread, or no file handles to wait with.
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let (stop, stopped) = oneshot::channel();
        let (started, start) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            let is_awaited = started.send(Ok(runtime.handle().clone())).is_ok();
            if is_awaited {
                // An error says that the sender was dropped, which is how it is told to stop.
                let _ = runtime.block_on(stopped);
            }
        })?;
        let handle = start.recv().map_err(|_| ended())??;
        Ok(Self { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Runs a job on the runtime, and waits for its result.
    ///
    /// Jobs run side by side, as many as there are threads that wait. A job must not call this itself: it
    /// would wait for the thread that it runs on.
    ///
    /// # Errors
    /// If the job panics.
    pub(crate) fn wait<F>(&self, job: F) -> io::Result<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // Nobody waits any more only if the waiting thread is gone.
            let _ = sender.send(job.await);
        });
        receiver.recv().map_err(|_| ended())
    }

    /// Runs a job on the runtime, and does not wait for it.
    pub(crate) fn spawn(&self, job: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(job);
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread of the network client ended too early")
}

impl Drop for Runtime {
    /// Ends all jobs, and waits until what they held is released.
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            // The last owner may be a job itself, which cannot wait for its own thread.
            && thread.thread().id() != thread::current().id()
        {
            // A job that panicked has told whoever waited for it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn jobs_of_several_threads_run_side_by_side() {
        let runtime = Runtime::start("test").unwrap();
        let barrier = Arc::new(tokio::sync::Barrier::new(4));
        thread::scope(|scope| {
            for number in 0..4 {
                let (runtime, barrier) = (&runtime, Arc::clone(&barrier));
                scope.spawn(move || {
                    let job = async move {
                        barrier.wait().await;
                        number
                    };
                    assert_eq!(runtime.wait(job).unwrap(), number);
                });
            }
        });
    }

    #[test]
    fn callers_may_be_within_a_runtime_of_their_own() {
        let own = Builder::new_current_thread().enable_all().build().unwrap();
        own.block_on(async {
            let runtime = Runtime::start("test").unwrap();
            let job = async {
                tokio::time::sleep(Duration::from_millis(1)).await;
                7
            };
            assert_eq!(runtime.wait(job).unwrap(), 7);
            drop(runtime);
            // The caller's own still works.
            tokio::time::sleep(Duration::from_millis(1)).await;
        });
    }

    #[test]
    fn a_job_that_panics_is_an_error() {
        let runtime = Runtime::start("test").unwrap();
        let job = async {
            if true {
                panic!("a job that panics, as the test wants");
            }
        };
        assert_eq!(runtime.wait(job).unwrap_err().kind(), io::ErrorKind::Other);
        assert_eq!(runtime.wait(async { 1 }).unwrap(), 1, "others still run");
    }

    #[test]
    fn jobs_end_with_the_runtime() {
        struct Flag(Arc<AtomicBool>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let is_dropped = Arc::new(AtomicBool::new(false));
        let runtime = Runtime::start("test").unwrap();
        let flag = Flag(Arc::clone(&is_dropped));
        runtime.spawn(async move {
            let _flag = flag;
            std::future::pending::<()>().await;
        });
        runtime.wait(async {}).unwrap();
        drop(runtime);
        assert!(is_dropped.load(Ordering::SeqCst));
    }

    #[test]
    fn the_last_owner_may_be_a_job() {
        let runtime = Arc::new(Runtime::start("test").unwrap());
        let (sender, receiver) = mpsc::channel();
        let own = Arc::clone(&runtime);
        let (go, gone) = oneshot::channel::<()>();
        runtime.spawn(async move {
            let _ = gone.await;
            drop(own);
            let _ = sender.send(());
        });
        drop(runtime);
        let _ = go.send(());
        receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
