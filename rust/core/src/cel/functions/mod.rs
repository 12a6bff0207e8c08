//! Functions and operators: what types they take, what they cost, what they do.

mod costs;
mod networks;
mod quantities;
mod run;
mod signatures;
mod texts;
mod times;
mod urls;
mod versions;

pub(super) use costs::price;
pub(super) use quantities::parse_quantity;
pub(super) use run::{run, shown};
pub(super) use signatures::{Shape, signature};
pub(crate) use times::{duration, timestamp};
pub(super) use versions::{order as semver_order, parse_semver};

use super::value::Value;

const QUANTITY: &str = "kubernetes.Quantity";
pub(in crate::cel) const URL: &str = "kubernetes.URL";
const IP: &str = "net.IP";
const CIDR: &str = "net.CIDR";
const SEMVER: &str = "kubernetes.Semver";
pub(in crate::cel) const FORMAT: &str = "kubernetes.NamedFormat";

type Out<'v> = Result<Value<'v>, String>;

fn overload<'v>() -> Out<'v> {
    Err("no such overload".to_owned())
}
