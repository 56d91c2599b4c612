//! A precise timer for one worker. Tokio's own rounds up to a millisecond, twice; arrivals and think times must not.
//! In: a due time. Out: a future that is ready then. On Linux one timerfd per worker; elsewhere tokio's timer.

use crate::clock::{Clock, Nanos};
use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// The timer of one worker.
#[derive(Debug, Clone)]
pub struct Timer {
    clock: Clock,
    state: Rc<State>,
}

#[derive(Debug)]
struct State {
    waiting: RefCell<BinaryHeap<Reverse<Entry>>>,
    /// When it last went off: what was due by then is due, without another look at the clock.
    #[cfg(target_os = "linux")]
    reached: Cell<Nanos>,
    #[cfg(target_os = "linux")]
    alarm: tokio::io::unix::AsyncFd<std::os::fd::OwnedFd>,
}

#[derive(Debug)]
struct Entry {
    due: Nanos,
    waker: Waker,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

#[cfg(target_os = "linux")]
impl Timer {
    /// A timer of the current-thread runtime that this is called in; its driver runs as a local task.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn start(clock: Clock) -> io::Result<Self> {
        use std::os::fd::FromRawFd;
        // SAFETY: the call takes no pointers; a negative result is an error and is not used as a descriptor.
        let fd = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_NONBLOCK | libc::TFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just made and nobody else owns it.
        let fd = unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) };
        // SAFETY: the descriptor is owned by the AsyncFd from here on and stays open as long as it.
        let alarm = unsafe { tokio::io::unix::AsyncFd::register(fd) }.map_err(io::Error::from)?;
        let state = Rc::new(State { waiting: RefCell::default(), reached: Cell::new(0), alarm });
        let timer = Self { clock, state };
        let driver = timer.clone();
        tokio::task::spawn_local(async move { driver.drive().await });
        Ok(timer)
    }

    async fn drive(&self) {
        while let Ok(mut ready) = self.state.alarm.readable().await {
            let mut expirations = [0u8; 8];
            let _ = ready.try_io(|alarm| {
                use std::os::fd::AsRawFd;
                // SAFETY: the buffer is valid for the 8 bytes that a timerfd delivers.
                let n = unsafe { libc::read(alarm.as_raw_fd(), expirations.as_mut_ptr().cast(), 8) };
                if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
            });
            self.fire();
        }
    }

    fn fire(&self) {
        let now = self.clock.now();
        self.state.reached.set(now);
        let mut waiting = self.state.waiting.borrow_mut();
        while waiting.peek().is_some_and(|Reverse(entry)| entry.due <= now) {
            if let Some(Reverse(entry)) = waiting.pop() {
                entry.waker.wake();
            }
        }
        if let Some(Reverse(next)) = waiting.peek() {
            self.arm(next.due.saturating_sub(now));
        }
    }

    fn arm(&self, after: Nanos) {
        use std::os::fd::AsRawFd;
        let after = after.max(1);
        let setting = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: libc::timespec {
                tv_sec: (after / crate::clock::SECOND) as libc::time_t,
                tv_nsec: (after % crate::clock::SECOND) as libc::c_long,
            },
        };
        // SAFETY: the descriptor is open and `setting` is valid for the call; the old setting is not asked for.
        unsafe { libc::timerfd_settime(self.state.alarm.as_raw_fd(), 0, &raw const setting, std::ptr::null_mut()) };
    }

    /// Ready at `due`, or at once when it has passed.
    pub fn sleep_until(&self, due: Nanos) -> Sleep<'_> {
        Sleep { timer: self, due, waiting: None }
    }

    /// Whether `deadline` has passed; else the task is woken then.
    ///
    /// Most deadlines are far off and never come. So an entry that stands for an earlier deadline of the same task is
    /// left standing: when it goes off, the task asks again and is put down for the deadline it has by then. A request
    /// costs no entry of its own.
    pub fn has_passed(&self, deadline: Nanos, reminder: &mut Reminder, cx: &Context<'_>) -> bool {
        let reached = self.state.reached.get();
        if reached >= deadline {
            return true;
        }
        if !reminder.standing.is_some_and(|due| reached < due && due <= deadline) {
            reminder.standing = Some(deadline);
            self.register(deadline, cx.waker().clone(), self.clock.now());
        }
        false
    }

    fn register(&self, due: Nanos, waker: Waker, now: Nanos) {
        let mut waiting = self.state.waiting.borrow_mut();
        let first = waiting.peek().is_none_or(|Reverse(entry)| due < entry.due);
        waiting.push(Reverse(Entry { due, waker }));
        if first {
            self.arm(due.saturating_sub(now));
        }
    }
}

/// A task's standing entry for its deadlines, see [`Timer::has_passed`].
#[cfg(target_os = "linux")]
#[derive(Debug, Default)]
pub struct Reminder {
    standing: Option<Nanos>,
}

/// A wait for a moment.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct Sleep<'a> {
    timer: &'a Timer,
    due: Nanos,
    waiting: Option<Waker>,
}

#[cfg(target_os = "linux")]
impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.timer.clock.now();
        if now >= self.due {
            return Poll::Ready(());
        }
        if self.waiting.as_ref().is_none_or(|w| !w.will_wake(cx.waker())) {
            self.timer.register(self.due, cx.waker().clone(), now);
            self.waiting = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

/// A task's wait for its deadline, see [`Timer::has_passed`].
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Default)]
pub struct Reminder {
    sleep: Option<(Nanos, Pin<Box<tokio::time::Sleep>>)>,
}

#[cfg(not(target_os = "linux"))]
impl Timer {
    /// A timer of the current runtime.
    ///
    /// # Errors
    /// None here.
    pub fn start(clock: Clock) -> io::Result<Self> {
        Ok(Self { clock, state: Rc::new(State { waiting: RefCell::default() }) })
    }

    /// Whether `deadline` has passed; else the task is woken then.
    pub fn has_passed(&self, deadline: Nanos, reminder: &mut Reminder, cx: &mut Context<'_>) -> bool {
        if reminder.sleep.as_ref().is_none_or(|(due, _)| *due != deadline) {
            reminder.sleep = Some((deadline, self.sleep_until(deadline)));
        }
        reminder.sleep.as_mut().is_some_and(|(_, sleep)| sleep.as_mut().poll(cx).is_ready())
    }

    /// Ready at `due`, or at once when it has passed; to the millisecond.
    pub fn sleep_until(&self, due: Nanos) -> Pin<Box<tokio::time::Sleep>> {
        Box::pin(tokio::time::sleep_until(tokio::time::Instant::from_std(self.clock.instant(due))))
    }
}
