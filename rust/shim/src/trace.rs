//! What libcontainer reports beside its errors: its children give the cause of a failure only here.

use std::fmt::{Debug, Write};

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Level, Metadata, Subscriber, dispatcher};

use crate::launch::{Message, send_message};
use crate::sys;

/// Passes errors on to the shim, over the channel with this number.
struct Tell {
    channel: i32,
}

/// From now on in this process and its children.
pub fn to(channel: i32) {
    let _ = dispatcher::set_global_default(Dispatch::new(Tell { channel }));
}

struct Cause(String);

impl Visit for Cause {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "message" {
            let separator = if self.0.is_empty() { "" } else { ", " };
            let _ = write!(self.0, "{separator}{} {value:?}", field.name());
        }
    }
}

impl Subscriber for Tell {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::ERROR
    }

    fn event(&self, event: &Event<'_>) {
        let mut cause = Cause(String::new());
        event.record(&mut cause);
        if !cause.0.is_empty() {
            sys::lend(self.channel, |fd| {
                send_message(fd, &Message::Cause(cause.0.clone()), None)
            });
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
