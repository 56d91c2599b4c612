//! Whole URLs that lead to none of the targets: a connection and cookies of their own, for the latest such host.
//! In: an [`Outgoing`] with its origin. Out: [`Received`], as for any other exchange.

use super::answer::Outgoing;
use super::exchange::UserClient;
use super::received::Received;
use super::wire::Wire;
use crate::clock::Nanos;
use scenarios::program::Target;
use scenarios::transport::Transport;
use std::rc::Rc;

/// Hosts that a worker remembers the way to; a target that names ever new ones makes it forget the others.
const MOST_HOSTS: usize = 64;

/// A user's client for a host that is none of the targets.
#[derive(Debug)]
pub struct Elsewhere {
    origin: Box<str>,
    pub(super) client: UserClient,
}

impl Wire {
    /// The wire to `origin`, with the time limits of target `like`.
    fn to(&self, origin: &str, like: usize) -> Result<Rc<Self>, String> {
        if let Some(known) = self.elsewhere.borrow().get(origin) {
            return Ok(Rc::clone(known));
        }
        let target = Target {
            name: origin.to_owned(),
            url: origin.to_owned(),
            timeout_ns: 0,
            connect_timeout_ns: self.targets[like].connect_timeout_ns,
            health: None,
            insecure: false,
            ca: None,
            watch: None,
            transport: Transport { limits: self.targets[like].limits, ..Transport::default() },
        };
        let targets = [target];
        let tls = Self::tls_configs(&targets)?;
        let mut wire = Self::new(self.clock, &targets, &tls)?;
        wire.cut = Rc::clone(&self.cut);
        wire.recent = Rc::clone(&self.recent);
        wire.network.set(self.network.get());
        if let Some(timer) = self.timer.get() {
            // It was made just now and nobody else has set it.
            let _ = wire.timer.set(timer.clone());
        }
        let wire = Rc::new(wire);
        let mut known = self.elsewhere.borrow_mut();
        if known.len() >= MOST_HOSTS {
            known.clear();
        }
        known.insert(origin.into(), Rc::clone(&wire));
        Ok(wire)
    }
}

impl UserClient {
    /// Sends `out` to `origin`, on a connection that is kept until another such host is asked.
    pub(super) async fn exchange_elsewhere(
        &mut self,
        wire: &Wire,
        out: &mut Outgoing,
        due: Nanos,
        origin: Box<str>,
    ) -> Received {
        let Ok(there) = wire.to(&origin, out.target) else {
            return Received::unsent(wire, due);
        };
        if self.elsewhere.as_ref().is_none_or(|e| e.origin != origin) {
            if let Some(mut before) = self.elsewhere.take() {
                Box::pin(before.client.part()).await;
                self.strays.append(&mut before.client.strays);
            }
            self.elsewhere = Some(Box::new(Elsewhere { origin: origin.clone(), client: Self::new(1) }));
        }
        let Some(elsewhere) = &mut self.elsewhere else {
            return Received::unsent(wire, due);
        };
        let target = std::mem::replace(&mut out.target, 0);
        let received = Box::pin(elsewhere.client.exchange(&there, out, due)).await;
        self.strays.append(&mut elsewhere.client.strays);
        // A redirect is seen from where it was said.
        (out.target, out.elsewhere) = (target, Some(origin));
        received
    }
}
