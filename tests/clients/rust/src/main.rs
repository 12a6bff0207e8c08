//! kube-rs, unmodified: each test by its name, against the cluster of `$KUBECONFIG`.

use std::{collections::BTreeMap, error::Error, pin::pin, time::Duration};

use futures::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{
    DeleteParams, EvictParams, ListParams, Patch, PatchParams, PostParams, ValidationDirective, WatchEvent, WatchParams,
};
use kube::core::{PartialObjectMeta, PartialObjectMetaExt};
use kube::runtime::{WatchStreamExt, conditions, reflector, wait, watcher};
use kube::{Api, Client, CustomResource, CustomResourceExt, Discovery, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

type Answer = Result<(), Box<dyn Error>>;

/// What anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, JsonSchema)]
#[kube(
    group = "rust.example",
    version = "v1",
    kind = "Gear",
    namespaced,
    status = "GearStatus"
)]
#[kube(scale(spec_replicas_path = ".spec.teeth", status_replicas_path = ".status.turns"))]
struct GearSpec {
    #[schemars(range(min = 1, max = 99))]
    teeth: i32,
    label: Option<String>,
}

#[derive(Serialize, Deserialize, Clone, Debug, Default, JsonSchema)]
struct GearStatus {
    turns: i32,
}

#[tokio::main]
async fn main() -> Answer {
    let name = std::env::args().nth(1).ok_or("which test?")?;
    let client = Client::try_default().await?;
    let namespace = format!("rust-{name}-{}", std::process::id());
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let body: Namespace = serde_json::from_value(json!({"metadata": {"name": namespace}}))?;
    namespaces.create(&PostParams::default(), &body).await?;
    let done = match name.as_str() {
        "typed" => typed(client, &namespace).await,
        "patches" => patches(client, &namespace).await,
        "watches" => watches(client, &namespace).await,
        "reflector" => reflected(client, &namespace).await,
        "metadata" => metadata(client, &namespace).await,
        "discovery" => discovery(client).await,
        "custom" => custom(client, &namespace).await,
        "pods" => pods(client, &namespace).await,
        _ => Err("no such test".into()),
    };
    namespaces.delete(&namespace, &DeleteParams::default()).await?;
    done?;
    println!("passed");
    Ok(())
}

fn map(name: &str, value: &str) -> Result<ConfigMap, serde_json::Error> {
    serde_json::from_value(json!({"metadata": {"name": name, "labels": {"for": "tests"}}, "data": {"a": value}}))
}

fn code<T: std::fmt::Debug>(answer: Result<T, kube::Error>) -> u16 {
    match answer {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("was not refused: {other:?}"),
    }
}

fn value(map: &ConfigMap) -> Option<&str> {
    map.data.as_ref()?.get("a").map(String::as_str)
}

async fn next<T>(stream: &mut (impl Stream<Item = T> + Unpin)) -> T {
    let found = tokio::time::timeout(PATIENCE, stream.next()).await;
    found.expect("waited in vain").expect("the stream ended")
}

/// Create, read, list in chunks, replace with a stale version, dry run, strict fields, delete a collection.
async fn typed(client: Client, namespace: &str) -> Answer {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let post = PostParams::default();
    let mut made = maps.create(&post, &map("one", "1")?).await?;
    assert_eq!(code(maps.create(&post, &map("one", "1")?).await), 409);
    maps.create(&post, &map("two", "2")?).await?;
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    maps.create(&dry, &map("three", "3")?).await?;
    assert!(maps.get_opt("three").await?.is_none());
    let page = ListParams::default().labels("for=tests").limit(1);
    let first = maps.list(&page).await?;
    assert_eq!(first.items.len(), 1);
    let token = first.metadata.continue_.ok_or("no token")?;
    let second = maps.list(&page.continue_token(&token)).await?;
    assert_eq!(second.items[0].name_any(), "two");
    let stale = made.clone();
    made.data = Some(BTreeMap::from([("a".into(), "4".into())]));
    assert_eq!(value(&maps.replace("one", &post, &made).await?), Some("4"));
    assert_eq!(code(maps.replace("one", &post, &stale).await), 409);
    assert_eq!(code(maps.create(&post, &map("Not_A_Name", "1")?).await), 422);
    let own = ListParams::default().labels("for=tests");
    maps.delete_collection(&DeleteParams::default(), &own).await?;
    assert!(maps.list(&own).await?.items.is_empty());
    Ok(())
}

/// JSON, merge and strategic patches; server-side apply, its conflicts and its strictness.
async fn patches(client: Client, namespace: &str) -> Answer {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    maps.create(&PostParams::default(), &map("m", "1")?).await?;
    let plain = PatchParams::default();
    let patch = serde_json::from_value(json!([{"op": "replace", "path": "/data/a", "value": "2"}]))?;
    assert_eq!(
        value(&maps.patch("m", &plain, &Patch::Json::<()>(patch)).await?),
        Some("2")
    );
    assert_eq!(
        value(
            &maps
                .patch("m", &plain, &Patch::Merge(json!({"data": {"a": "3"}})))
                .await?
        ),
        Some("3")
    );
    assert_eq!(
        value(
            &maps
                .patch("m", &plain, &Patch::Strategic(json!({"data": {"a": null}})))
                .await?
        ),
        None
    );
    let apply = |text: &str| {
        Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "s"}, "data": {"a": text}}))
    };
    let one = maps.patch("s", &PatchParams::apply("one"), &apply("1")).await?;
    assert_eq!(one.managed_fields()[0].manager.as_deref(), Some("one"));
    assert_eq!(
        code(maps.patch("s", &PatchParams::apply("two"), &apply("2")).await),
        409
    );
    assert_eq!(
        value(&maps.patch("s", &PatchParams::apply("two").force(), &apply("2")).await?),
        Some("2")
    );
    let strict = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::default()
    };
    assert_eq!(
        code(maps.patch("s", &strict, &Patch::Merge(json!({"dtaa": {}}))).await),
        422
    );
    Ok(())
}

/// A watch from a version tells of all that becomes of an object, in order, with bookmarks in between.
async fn watches(client: Client, namespace: &str) -> Answer {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let from = maps
        .list(&ListParams::default())
        .await?
        .metadata
        .resource_version
        .ok_or("no version")?;
    let post = PostParams::default();
    let mut made = maps.create(&post, &map("w", "1")?).await?;
    made.data = Some(BTreeMap::from([("a".into(), "2".into())]));
    maps.replace("w", &post, &made).await?;
    maps.delete("w", &DeleteParams::default()).await?;
    let mut events = pin!(maps.watch(&WatchParams::default().labels("for=tests"), &from).await?);
    let mut seen = Vec::new();
    while seen.len() < 3 {
        match next(&mut events).await? {
            WatchEvent::Added(map) => seen.push(format!("added {:?}", value(&map))),
            WatchEvent::Modified(map) => seen.push(format!("modified {:?}", value(&map))),
            WatchEvent::Deleted(map) => seen.push(format!("deleted {:?}", value(&map))),
            WatchEvent::Bookmark(_) => {}
            WatchEvent::Error(error) => return Err(Box::new(*error)),
        }
    }
    assert_eq!(
        seen,
        [r#"added Some("1")"#, r#"modified Some("2")"#, r#"deleted Some("2")"#]
    );
    assert_eq!(
        code(maps.list(&ListParams::default().continue_token("nonsense")).await),
        400
    );
    Ok(())
}

/// A reflector's store follows the server, listing by pages and by a streaming watch.
async fn reflected(client: Client, namespace: &str) -> Answer {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let post = PostParams::default();
    maps.create(&post, &map("before", "1")?).await?;
    let configs = [
        ("paged", watcher::Config::default().page_size(1)),
        ("streamed", watcher::Config::default().streaming_lists()),
    ];
    for (name, config) in configs {
        let (store, writer) = reflector::store();
        let stream = watcher(maps.clone(), config.labels("for=tests")).default_backoff();
        let mut touched = pin!(stream.reflect(writer).applied_objects());
        next(&mut touched).await?;
        maps.create(&post, &map(name, "1")?).await?;
        while next(&mut touched).await?.name_any() != name {}
        assert!(store.state().iter().any(|map| map.name_any() == "before"));
    }
    Ok(())
}

/// Objects' metadata alone, listed and watched.
async fn metadata(client: Client, namespace: &str) -> Answer {
    let maps: Api<ConfigMap> = Api::namespaced(client, namespace);
    let made = maps.create(&PostParams::default(), &map("m", "1")?).await?;
    let found = maps.get_metadata("m").await?;
    assert_eq!(
        found.types.as_ref().map(|t| t.kind.as_str()),
        Some("PartialObjectMetadata")
    );
    assert_eq!(found.metadata.uid, made.metadata.uid);
    let listed = maps.list_metadata(&ListParams::default().labels("for=tests")).await?;
    assert_eq!(listed.items.len(), 1);
    let changed: PartialObjectMeta<ConfigMap> = kube::core::ObjectMeta {
        annotations: Some([("k".into(), "v".into())].into()),
        ..Default::default()
    }
    .into_request_partial();
    let patched = maps
        .patch_metadata("m", &PatchParams::default(), &Patch::Merge(&changed))
        .await?;
    assert_eq!(patched.annotations().get("k").map(String::as_str), Some("v"));
    Ok(())
}

/// Groups, versions and kinds as kube-rs finds them, aggregated and one by one.
async fn discovery(client: Client) -> Answer {
    for found in [
        Discovery::new(client.clone()).run().await?,
        Discovery::new(client.clone()).run_aggregated().await?,
    ] {
        assert!(found.has_group("apps") && found.has_group("networking.k8s.io"));
        let group = found.get("autoscaling").ok_or("no autoscaling")?;
        assert_eq!(group.preferred_version(), Some("v2"));
        let apps = found.get("apps").ok_or("no apps")?;
        let (resource, capabilities) = apps.recommended_kind("Deployment").ok_or("no Deployment")?;
        assert_eq!(resource.plural, "deployments");
        assert!(capabilities.supports_operation("watch"));
    }
    assert_eq!(client.apiserver_version().await?.major, "1");
    Ok(())
}

/// A derived definition becomes established; its schema, status and scale hold.
async fn custom(client: Client, namespace: &str) -> Answer {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let apply = PatchParams::apply("rust").force();
    definitions
        .patch("gears.rust.example", &apply, &Patch::Apply(Gear::crd()))
        .await?;
    let established = wait::await_condition(
        definitions.clone(),
        "gears.rust.example",
        conditions::is_crd_established(),
    );
    tokio::time::timeout(PATIENCE, established).await??;
    let gears: Api<Gear> = Api::namespaced(client, namespace);
    let gear = |teeth| Gear::new("g", GearSpec { teeth, label: None });
    assert_eq!(code(gears.create(&PostParams::default(), &gear(100)).await), 422);
    let made = gears.create(&PostParams::default(), &gear(12)).await?;
    assert_eq!(made.metadata.generation, Some(1));
    let status = Patch::Merge(json!({"status": {"turns": 3}}));
    let turned = gears.patch_status("g", &PatchParams::default(), &status).await?;
    assert_eq!(
        (turned.status.map(|s| s.turns), turned.metadata.generation),
        (Some(3), Some(1))
    );
    let scale = Patch::Merge(json!({"spec": {"replicas": 20}}));
    let scaled = gears.patch_scale("g", &PatchParams::default(), &scale).await?;
    assert_eq!(scaled.spec.and_then(|s| s.replicas), Some(20));
    assert_eq!(gears.get("g").await?.spec.teeth, 20);
    definitions
        .delete("gears.rust.example", &DeleteParams::default())
        .await?;
    Ok(())
}

/// A pod runs and is evicted.
async fn pods(client: Client, namespace: &str) -> Answer {
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let body = json!({
        "metadata": {"name": "p", "labels": {"app": "p"}},
        "spec": {"containers": [{"name": "c", "image": "orlop.dev/test:1"}], "terminationGracePeriodSeconds": 0},
    });
    // The service account comes a moment after its namespace.
    let made: Pod = serde_json::from_value(body)?;
    let mut tries = 0;
    while let Err(error) = pods.create(&PostParams::default(), &made).await {
        tries += 1;
        if tries > 300 {
            return Err(error.into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let running = wait::await_condition(pods.clone(), "p", conditions::is_pod_running());
    tokio::time::timeout(PATIENCE, running).await??;
    let uid = pods.get("p").await?.uid().ok_or("no uid")?;
    pods.evict("p", &EvictParams::default()).await?;
    tokio::time::timeout(
        PATIENCE,
        wait::await_condition(pods.clone(), "p", conditions::is_deleted(&uid)),
    )
    .await??;
    Ok(())
}
