//! Service forwarding: one wanted table from `(protocol, address, port)` to backends, kept from Services and
//! EndpointSlices, and its difference with what is programmed.
//!
//! [`Table`] is fed the API's JSON bytes and is incremental: one changed slice touches the service ports of its own
//! Service only. A service port ([`PortName`], upstream's `ServicePortName` per IP family) is the unit of change, as
//! it is what a backend programs in one piece; its [`State`] never depends on the order in which objects came.

mod decode;
pub mod ipvs;
mod model;
pub mod relay;
mod scheduling;
mod select;
mod table;

pub use decode::Error;
pub use model::{Backend, Cidr, Claim, Family, Frontend, Kind, PortName, Protocol, State};
pub use scheduling::{Scheduler, Scheduling};
pub use table::{Changes, Table};
