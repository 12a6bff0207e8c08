//! What a pod requests in all: containers, init containers and sidecars, pod-level resources, overhead, resizes.
//!
//! The sums are those of component-helpers' `resource.PodRequests`.

use super::Malformed;
use super::object::{Amount, Container, ContainerStatus, Map, Pod};
use super::profile::Resource;
use super::quantity::Quantity;
use super::symbols::{Symbol, Symbols};

/// CPU that a container without a request counts with in scores, so that such pods spread too (upstream's
/// DefaultMilliCPURequest).
const DEFAULT_CPU: Quantity = Quantity::from_milli(100);
/// The same for memory (upstream's DefaultMemoryRequest).
const DEFAULT_MEMORY: Quantity = Quantity::from_value(200 * 1024 * 1024);

/// A pod's requests: CPU in thousandths, the rest in whole units.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub struct Requests {
    /// Milli-CPU.
    pub cpu: i64,
    /// Bytes.
    pub memory: i64,
    /// Bytes.
    pub ephemeral: i64,
    /// Extended resources, huge pages and their like, by name.
    pub scalars: Box<[(Symbol, i64)]>,
    /// What the pod adds to its node's CPU in scores: containers without a request count with a default.
    pub nonzero_cpu: i64,
    /// The same for memory.
    pub nonzero_memory: i64,
    /// What the pod itself counts with while it is scored. Differs from `nonzero_cpu` only for pod-level resources.
    pub scored_cpu: i64,
    /// The same for memory.
    pub scored_memory: i64,
}

impl Requests {
    /// Sums the requests of `pod`; the error names the quantity that cannot be read.
    pub fn of(pod: &Pod, symbols: &mut Symbols) -> Result<Self, Malformed> {
        let total = pod_requests(pod, &[])?;
        let defaults = [("cpu", DEFAULT_CPU), ("memory", DEFAULT_MEMORY)];
        let scored = pod_requests(pod, &defaults)?;
        // With pod-level resources a default stands in only for what neither level requests.
        let missing: Vec<_> = defaults
            .into_iter()
            .filter(|(name, _)| total.get(name).is_none())
            .collect();
        let nonzero = if pod_level(pod) {
            &pod_requests(pod, &missing)?
        } else {
            &scored
        };
        let amount = |list: &List, name: &str| list.get(name).unwrap_or_default();
        let scalars = total.0.iter().filter(|(name, _)| is_scalar(name));
        let mut scalars: Box<[_]> = scalars
            .map(|(name, q)| (symbols.intern(name), q.value().max(0)))
            .collect();
        scalars.sort_unstable();
        Ok(Self {
            cpu: amount(&total, "cpu").milli(),
            memory: amount(&total, "memory").value(),
            ephemeral: amount(&total, "ephemeral-storage").value(),
            scalars,
            nonzero_cpu: amount(nonzero, "cpu").milli(),
            nonzero_memory: amount(nonzero, "memory").value(),
            scored_cpu: amount(&scored, "cpu").milli(),
            scored_memory: amount(&scored, "memory").value(),
        })
    }

    /// The amount of the scalar resource `name`.
    pub fn scalar(&self, name: Symbol) -> i64 {
        self.scalars
            .binary_search_by_key(&name, |&(n, _)| n)
            .map_or(0, |at| self.scalars[at].1)
    }

    /// The amount of a resource.
    pub fn amount(&self, resource: Resource) -> i64 {
        match resource {
            Resource::Cpu => self.cpu,
            Resource::Memory => self.memory,
            Resource::Ephemeral => self.ephemeral,
            Resource::Scalar(name) => self.scalar(name),
        }
    }

    /// Whether any resource is requested less than in `before`.
    pub fn less_than(&self, before: &Self) -> bool {
        self.cpu < before.cpu
            || self.memory < before.memory
            || self.ephemeral < before.ephemeral
            || before
                .scalars
                .iter()
                .any(|&(name, amount)| self.scalar(name) < amount)
    }
}

/// Whether a resource is counted by its name alone: extended resources, huge pages, attachable volumes and those
/// that carry the prefix kubernetes.io/. Any other name is not the scheduler's business.
pub fn is_scalar(name: &str) -> bool {
    let native = name.contains("kubernetes.io/");
    name.starts_with("hugepages-")
        || name.starts_with("attachable-volumes-")
        || native
        || (name.contains('/') && !name.starts_with("requests.") && is_qualified(name))
}

/// A label key's syntax, the length being that of the name with quota's prefix `requests.`.
fn is_qualified(name: &str) -> bool {
    let Some((prefix, name)) = name.split_once('/') else {
        return false;
    };
    let word = |text: &str, extra: &str| {
        let bytes = text.as_bytes();
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
            return false;
        };
        first.is_ascii_alphanumeric()
            && last.is_ascii_alphanumeric()
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    };
    let subdomain = "requests.".len() + prefix.len() <= 253
        && prefix
            .split('.')
            .all(|part| word(part, "-") && !part.contains(|c: char| c.is_ascii_uppercase()));
    subdomain && name.len() <= 63 && word(name, "-_.")
}

/// A ResourceList: a handful of names, so a plain list.
#[derive(Clone, Debug, Default)]
struct List<'a>(Vec<(&'a str, Quantity)>);

impl<'a> List<'a> {
    fn of(path: &dyn Fn() -> String, amounts: &'a Map<'a, Amount<'a>>) -> Result<Self, Malformed> {
        let mut list = Vec::with_capacity(amounts.0.len());
        for (name, amount) in &amounts.0 {
            let quantity = Quantity::parse(&amount.0).map_err(|error| {
                Malformed(format!(
                    "{}[{}]: Invalid value: {:?}: {error}",
                    path(),
                    &**name,
                    &*amount.0
                ))
            })?;
            list.push((&**name, quantity));
        }
        Ok(Self(list))
    }

    fn get(&self, name: &str) -> Option<Quantity> {
        self.0
            .iter()
            .find(|(n, _)| *n == name)
            .map(|&(_, quantity)| quantity)
    }

    fn merge(&mut self, other: &Self, join: impl Fn(Quantity, Quantity) -> Quantity) {
        for &(name, quantity) in &other.0 {
            match self.0.iter_mut().find(|(n, _)| *n == name) {
                Some((_, present)) => *present = join(*present, quantity),
                None => self.0.push((name, quantity)),
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.merge(other, |a, b| a + b);
    }

    fn max(&mut self, other: &Self) {
        self.merge(other, Ord::max);
    }

    fn set(&mut self, other: &Self) {
        self.merge(other, |_, b| b);
    }
}

type Defaults = [(&'static str, Quantity)];

/// Which of a container's requests count: those of the spec, or those that the kubelet reports while it resizes.
#[derive(Clone, Copy)]
enum Source {
    Spec,
    Allocated,
    Actuated,
}

fn pod_requests<'a>(pod: &'a Pod, defaults: &Defaults) -> Result<List<'a>, Malformed> {
    let statuses = || {
        pod.status
            .container_statuses
            .iter()
            .chain(&pod.status.init_container_statuses)
    };
    let resizing = statuses().any(|s| s.allocated_resources.is_some() || s.resources.is_some());
    let infeasible = resizing && resize_infeasible(pod);
    let mut total = List::default();
    if !infeasible {
        total = containers(pod, Source::Spec, false, defaults)?;
    }
    if resizing {
        // While a resize is under way the pod may still hold, or already hold, the larger of both.
        total.max(&containers(pod, Source::Actuated, infeasible, defaults)?);
        total.max(&containers(pod, Source::Allocated, infeasible, defaults)?);
    }
    if pod_level(pod) {
        let mut level = List::of(
            &|| "spec.resources.requests".into(),
            &pod.spec.resources.requests,
        )?;
        level.0.retain(|(name, _)| is_pod_level(name));
        total.set(&level);
    }
    total.add(&List::of(&|| "spec.overhead".into(), &pod.spec.overhead)?);
    Ok(total)
}

fn containers<'a>(
    pod: &'a Pod,
    source: Source,
    infeasible: bool,
    defaults: &Defaults,
) -> Result<List<'a>, Malformed> {
    let one =
        |field: &str, index: usize, container: &'a Container, statuses: &'a [ContainerStatus]| {
            let status = statuses.iter().find(|s| *s.name == *container.name);
            let amounts = requests_of(container, status, source, infeasible);
            let path = || format!("spec.{field}[{index}].resources.requests");
            let mut list =
                amounts.map_or(Ok(List::default()), |amounts| List::of(&path, amounts))?;
            for &(name, quantity) in defaults {
                if list.get(name).is_none() {
                    list.0.push((name, quantity));
                }
            }
            Ok(list)
        };
    let mut total = List::default();
    for (index, container) in pod.spec.containers.iter().enumerate() {
        total.add(&one(
            "containers",
            index,
            container,
            &pod.status.container_statuses,
        )?);
    }
    // An init container runs beside the sidecars before it; the pod needs the largest of these moments.
    let (mut sidecars, mut initial) = (List::default(), List::default());
    for (index, container) in pod.spec.init_containers.iter().enumerate() {
        let mut list = one(
            "initContainers",
            index,
            container,
            &pod.status.init_container_statuses,
        )?;
        if &*container.restart_policy == "Always" {
            total.add(&list);
            sidecars.add(&list);
            initial.max(&sidecars);
        } else {
            list.add(&sidecars);
            initial.max(&list);
        }
    }
    total.max(&initial);
    Ok(total)
}

fn requests_of<'a>(
    container: &'a Container<'a>,
    status: Option<&'a ContainerStatus<'a>>,
    source: Source,
    infeasible: bool,
) -> Option<&'a Map<'a, Amount<'a>>> {
    let spec = Some(&container.resources.requests);
    let allocated = status.and_then(|s| s.allocated_resources.as_ref());
    let actuated = status
        .and_then(|s| s.resources.as_ref())
        .and_then(|r| r.requests.as_ref());
    let otherwise = if infeasible { None } else { spec };
    match source {
        Source::Spec => spec,
        Source::Allocated => allocated.or(otherwise),
        Source::Actuated => actuated.or(allocated).or(otherwise),
    }
}

fn resize_infeasible(pod: &Pod) -> bool {
    let pending = pod
        .status
        .conditions
        .iter()
        .find(|c| &*c.kind == "PodResizePending");
    pending.is_some_and(|condition| &*condition.reason == "Infeasible")
}

fn is_pod_level(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || name.starts_with("hugepages-")
}

fn pod_level(pod: &Pod) -> bool {
    pod.spec
        .resources
        .requests
        .0
        .iter()
        .any(|(name, _)| is_pod_level(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sched::object::decode;

    fn requests(spec: &str) -> Requests {
        let json = format!(r#"{{"spec":{spec}}}"#);
        Requests::of(&decode(json.as_bytes()).unwrap(), &mut Symbols::default()).unwrap()
    }

    fn container(requests: &str) -> String {
        format!(r#"{{"name":"c","resources":{{"requests":{requests}}}}}"#)
    }

    #[test]
    fn init_containers_run_one_after_the_other() {
        let spec = format!(
            r#"{{"containers":[{},{}],"initContainers":[{},{}],"overhead":{{"cpu":"10m"}}}}"#,
            container(r#"{"cpu":"1","memory":"1G"}"#),
            container(r#"{"cpu":"500m"}"#),
            container(r#"{"cpu":"2","memory":"1G"}"#),
            container(r#"{"memory":"3G"}"#),
        );
        let total = requests(&spec);
        assert_eq!((total.cpu, total.memory), (2010, 3_000_000_000));
        assert_eq!(total.nonzero_memory, 3_000_000_000);
    }

    #[test]
    fn sidecars_run_beside_everything_after_them() {
        let spec = r#"{"containers":[{"resources":{"requests":{"cpu":"1"}}}],"initContainers":[
            {"restartPolicy":"Always","resources":{"requests":{"cpu":"2"}}},
            {"resources":{"requests":{"cpu":"3"}}}]}"#;
        assert_eq!(requests(spec).cpu, 5000);
    }

    #[test]
    fn pod_level_requests_stand_for_all_containers() {
        let spec = format!(
            r#"{{"resources":{{"requests":{{"cpu":"4","nvidia.com/gpu":"9"}}}},"containers":[{}]}}"#,
            container(r#"{"cpu":"1","nvidia.com/gpu":"1"}"#)
        );
        let total = requests(&spec);
        assert_eq!(
            (total.cpu, total.scalars.len(), total.scalars[0].1),
            (4000, 1, 1)
        );
        assert_eq!(total.nonzero_memory, 200 << 20);
    }

    #[test]
    fn containers_without_requests_count_in_scores() {
        let spec = format!(
            r#"{{"containers":[{},{}]}}"#,
            container("{}"),
            container(r#"{"cpu":"0"}"#)
        );
        let total = requests(&spec);
        assert_eq!(
            (total.cpu, total.nonzero_cpu, total.scored_cpu),
            (0, 100, 100)
        );
        assert_eq!((total.memory, total.nonzero_memory), (0, 400 << 20));
    }

    #[test]
    fn a_resize_counts_with_the_larger_amount() {
        let json = r#"{"spec":{"containers":[{"name":"a","resources":{"requests":{"cpu":"1"}}}]},
            "status":{"containerStatuses":[{"name":"a","allocatedResources":{"cpu":"2"},
            "resources":{"requests":{"cpu":"1500m"}}}]"#;
        let running = format!("{json}}}}}");
        let read = |json: &str| {
            Requests::of(&decode(json.as_bytes()).unwrap(), &mut Symbols::default())
                .unwrap()
                .cpu
        };
        assert_eq!(read(&running), 2000);
        let larger = running.replace(r#"{"cpu":"1"}"#, r#"{"cpu":"8"}"#);
        assert_eq!(read(&larger), 8000);
        let refused = larger.replace(
            r#""status":{"#,
            r#""status":{"conditions":[{"type":"PodResizePending","status":"True","reason":"Infeasible"}],"#,
        );
        assert_eq!(read(&refused), 2000);
    }

    #[test]
    fn names_that_count() {
        for name in [
            "nvidia.com/gpu",
            "hugepages-2Mi",
            "attachable-volumes-csi-x",
            "x.kubernetes.io/y",
        ] {
            assert!(is_scalar(name), "{name}");
        }
        for name in [
            "storage",
            "cpu",
            "requests.example.com/x",
            "example.com/",
            "Ex.com/a",
            "example.com/-a",
        ] {
            assert!(!is_scalar(name), "{name}");
        }
    }

    #[test]
    fn an_unreadable_quantity_is_named() {
        let spec = format!(
            r#"{{"spec":{{"containers":[{}]}}}}"#,
            container(r#"{"cpu":"one"}"#)
        );
        let error =
            Requests::of(&decode(spec.as_bytes()).unwrap(), &mut Symbols::default()).unwrap_err();
        assert!(
            error.0.starts_with(r#"spec.containers[0].resources.requests[cpu]: Invalid value: "one": quantities must"#),
            "{}",
            error.0
        );
    }
}
