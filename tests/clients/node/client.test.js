// @kubernetes/client-node, unmodified: typed and generic clients, watches, informers, apply.
import * as k8s from "@kubernetes/client-node";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";

const PATIENCE = 30_000; // milliseconds that anything is waited for
const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const namespace = `node-${process.pid}`;
const map = (name, data, labels = {}) => ({ metadata: { name, labels }, data });

before(async () => {
  await core.createNamespace({ body: { metadata: { name: namespace } } });
  await until(() => core.readNamespacedServiceAccount({ name: "default", namespace }).catch(() => undefined));
});
after(() => core.deleteNamespace({ name: namespace }));

async function until(question) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
    const answer = await question();
    if (answer) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("waited in vain");
}

test("typed", async () => {
  const made = await core.createNamespacedConfigMap({ namespace, body: map("typed", { a: "b" }, { l: "1" }) });
  assert.ok(made.metadata.creationTimestamp instanceof Date);
  const found = await core.listNamespacedConfigMap({ namespace, labelSelector: "l=1", limit: 1 });
  assert.deepEqual(found.items.map((item) => item.metadata.name), ["typed"]);
  made.data.a = "c";
  assert.equal((await core.replaceNamespacedConfigMap({ name: "typed", namespace, body: made })).data.a, "c");
  const stale = await core.replaceNamespacedConfigMap({ name: "typed", namespace, body: made }).catch((error) => error);
  assert.equal(stale.code, 409);
  assert.equal(JSON.parse(stale.body).reason, "Conflict");
  const patched = await core.patchNamespacedConfigMap(
    { name: "typed", namespace, body: [{ op: "replace", path: "/data/a", value: "d" }] },
    k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.JsonPatch),
  );
  assert.equal(patched.data.a, "d");
  assert.equal((await core.deleteNamespacedConfigMap({ name: "typed", namespace })).status, "Success");
  const gone = await core.readNamespacedConfigMap({ name: "typed", namespace }).catch((error) => error);
  assert.equal(gone.code, 404);
});

test("generic objects", async () => {
  const client = k8s.KubernetesObjectApi.makeApiClient(config);
  const body = { apiVersion: "v1", kind: "ConfigMap", ...map("generic", { a: "b" }) };
  body.metadata.namespace = namespace;
  await client.create(body);
  assert.equal((await client.read(body)).data.a, "b");
  const merged = await client.patch(
    { ...body, data: { b: "c" } }, undefined, undefined, undefined, undefined, k8s.PatchStrategy.MergePatch,
  );
  assert.deepEqual(merged.data, { a: "b", b: "c" });
  const found = await client.list("v1", "ConfigMap", namespace);
  assert.ok(found.items.some((item) => item.metadata.name === "generic"));
  await client.delete(body);
});

test("server-side apply", async () => {
  const containers = [{ name: "c", image: "img:1" }];
  const labels = { app: "web" };
  const body = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "web" },
    spec: { replicas: 0, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers } } },
  };
  const apply = (fieldManager, force) =>
    apps.patchNamespacedDeployment(
      { name: "web", namespace, body, fieldManager, force },
      k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.ServerSideApply),
    );
  const first = await apply("one");
  assert.equal(first.metadata.managedFields.find((entry) => entry.manager === "one").operation, "Apply");
  containers[0].image = "img:2";
  const refused = await apply("two").catch((error) => error);
  assert.equal(refused.code, 409);
  assert.match(JSON.parse(refused.body).message, /conflict with "one"/);
  assert.equal((await apply("two", true)).spec.template.spec.containers[0].image, "img:2");
});

test("watch", async () => {
  const seen = [];
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  let ended;
  const end = new Promise((resolve) => (ended = resolve));
  const query = { allowWatchBookmarks: true, labelSelector: "watched=1" };
  const watching = await new k8s.Watch(config).watch(
    path, query, (type, object) => seen.push(`${type} ${object.metadata.name}`), ended,
  );
  await core.createNamespacedConfigMap({ namespace, body: map("w", {}, { watched: "1" }) });
  await core.createNamespacedConfigMap({ namespace, body: map("unseen", {}) });
  await core.deleteNamespacedConfigMap({ name: "w", namespace });
  await until(() => seen.includes("DELETED w"));
  watching.abort();
  await end;
  assert.deepEqual(seen, ["ADDED w", "DELETED w"]);
});

test("informer", async () => {
  const list = () => core.listNamespacedConfigMap({ namespace });
  const informer = k8s.makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list);
  const seen = [];
  for (const event of ["add", "update", "delete"]) {
    informer.on(event, (object) => seen.push(`${event} ${object.metadata.name}`));
  }
  await informer.start();
  await core.createNamespacedConfigMap({ namespace, body: map("i", { a: "1" }) });
  await until(() => informer.get("i", namespace));
  await core.patchNamespacedConfigMap(
    { name: "i", namespace, body: { data: { a: "2" } } },
    k8s.setHeaderOptions("Content-Type", k8s.PatchStrategy.MergePatch),
  );
  await until(() => informer.get("i", namespace).data.a === "2");
  await core.deleteNamespacedConfigMap({ name: "i", namespace });
  await until(() => seen.includes("delete i"));
  assert.deepEqual(seen.filter((event) => event.endsWith(" i")), ["add i", "update i", "delete i"]);
  await informer.stop();
});
