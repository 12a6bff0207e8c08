import static io.fabric8.kubernetes.client.dsl.base.PatchContext.of;

import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.api.model.DeletionPropagation;
import io.fabric8.kubernetes.api.model.GenericKubernetesResource;
import io.fabric8.kubernetes.api.model.ListOptionsBuilder;
import io.fabric8.kubernetes.api.model.Namespace;
import io.fabric8.kubernetes.api.model.NamespaceBuilder;
import io.fabric8.kubernetes.api.model.Pod;
import io.fabric8.kubernetes.api.model.PodBuilder;
import io.fabric8.kubernetes.api.model.apps.DeploymentBuilder;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientBuilder;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.client.Watcher;
import io.fabric8.kubernetes.client.WatcherException;
import io.fabric8.kubernetes.client.dsl.base.PatchType;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderElectionConfigBuilder;
import io.fabric8.kubernetes.client.extended.leaderelection.LeaderCallbacks;
import io.fabric8.kubernetes.client.extended.leaderelection.resourcelock.LeaseLock;
import io.fabric8.kubernetes.client.informers.ResourceEventHandler;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** fabric8's client, unmodified: each test by its name, against the cluster of $KUBECONFIG. */
public final class Clients {
  private static final long PATIENCE = 30; // seconds that anything is waited for

  private final KubernetesClient client;
  private final String namespace;

  private Clients(KubernetesClient client, String namespace) {
    this.client = client;
    this.namespace = namespace;
  }

  public static void main(String[] names) throws Exception {
    try (KubernetesClient client = new KubernetesClientBuilder().build()) {
      String namespace = "java-" + names[0] + "-" + ProcessHandle.current().pid();
      Namespace made = new NamespaceBuilder().withNewMetadata().withName(namespace).endMetadata().build();
      client.namespaces().resource(made).create();
      try {
        Clients tests = new Clients(client, namespace);
        switch (names[0]) {
          case "typed" -> tests.typed();
          case "patches" -> tests.patches();
          case "watches" -> tests.watches();
          case "informers" -> tests.informers();
          case "generic" -> tests.generic();
          case "workloads" -> tests.workloads();
          case "leader" -> tests.leader();
          default -> throw new IllegalArgumentException(names[0]);
        }
      } finally {
        client.namespaces().withName(namespace).delete();
      }
    }
    System.out.println("passed");
    System.exit(0); // whatever threads a client leaves
  }

  private static void check(Object found, Object wanted) {
    if (!wanted.equals(found)) throw new AssertionError("found " + found + ", wanted " + wanted);
  }

  private static <T> T next(BlockingQueue<T> queue) throws InterruptedException {
    T found = queue.poll(PATIENCE, TimeUnit.SECONDS);
    if (found == null) throw new AssertionError("waited in vain");
    return found;
  }

  private static int refused(Runnable what) {
    try {
      what.run();
    } catch (KubernetesClientException error) {
      return error.getCode();
    }
    throw new AssertionError("was not refused");
  }

  private ConfigMap map(String name, String value) {
    return new ConfigMapBuilder()
        .withNewMetadata().withName(name).withNamespace(namespace).addToLabels("for", "tests").endMetadata()
        .addToData("a", value)
        .build();
  }

  /** Create, read, list in chunks and by labels, replace with a stale version, delete a collection. */
  private void typed() {
    ConfigMap made = client.resource(map("one", "1")).create();
    check(refused(() -> client.resource(map("one", "1")).create()), 409);
    client.resource(map("two", "2")).create();
    var maps = client.configMaps().inNamespace(namespace);
    var chunk = maps.withLabel("for", "tests").list(new ListOptionsBuilder().withLimit(1L).build());
    check(chunk.getItems().size(), 1);
    var rest = maps.withLabel("for", "tests")
        .list(new ListOptionsBuilder().withLimit(1L).withContinue(chunk.getMetadata().getContinue()).build());
    check(rest.getItems().get(0).getMetadata().getName(), "two");
    made.getData().put("a", "3");
    check(client.resource(made).update().getData().get("a"), "3");
    made.getData().put("a", "4");
    check(refused(() -> client.resource(made).lockResourceVersion(made.getMetadata().getResourceVersion()).update()), 409);
    maps.withLabel("for", "tests").delete();
    check(maps.withName("one").get() == null, true);
    check(maps.withLabel("for", "tests").list().getItems().size(), 0);
    check(refused(() -> maps.resource(map("Not_A_Name", "1")).create()), 422);
  }

  /** JSON, merge and strategic merge patches, and server-side apply with its conflicts. */
  private void patches() {
    client.resource(map("m", "1")).create();
    var one = client.configMaps().inNamespace(namespace).withName("m");
    check(one.patch(of(PatchType.JSON), "[{\"op\":\"replace\",\"path\":\"/data/a\",\"value\":\"2\"}]").getData().get("a"), "2");
    check(one.patch(of(PatchType.JSON_MERGE), "{\"data\":{\"b\":\"1\"}}").getData().size(), 2);
    check(one.patch(of(PatchType.STRATEGIC_MERGE), "{\"data\":{\"b\":null}}").getData().size(), 1);
    check(one.edit(m -> new ConfigMapBuilder(m).addToData("c", "3").build()).getData().get("c"), "3");
    ConfigMap applied = client.resource(map("applied", "1")).fieldManager("first").serverSideApply();
    check(applied.getMetadata().getManagedFields().get(0).getManager(), "first");
    check(refused(() -> client.resource(map("applied", "2")).fieldManager("second").serverSideApply()), 409);
    applied = client.resource(map("applied", "2")).fieldManager("second").forceConflicts().serverSideApply();
    check(applied.getData().get("a"), "2");
  }

  /** A watch tells of all that becomes of an object, in order. */
  private void watches() throws Exception {
    BlockingQueue<String> seen = new LinkedBlockingQueue<>();
    Watcher<ConfigMap> watcher = new Watcher<>() {
      @Override
      public void eventReceived(Action action, ConfigMap map) {
        if (map.getMetadata().getName().equals("w")) seen.add(action + " " + map.getData().get("a"));
      }

      @Override
      public void onClose(WatcherException cause) {}
    };
    try (var watch = client.configMaps().inNamespace(namespace).watch(watcher)) {
      ConfigMap made = client.resource(map("w", "1")).create();
      check(next(seen), "ADDED 1");
      made.getData().put("a", "2");
      client.resource(made).update();
      check(next(seen), "MODIFIED 2");
      client.resource(made).delete();
      check(next(seen), "DELETED 2");
    }
  }

  /** An informer's cache follows the server. */
  private void informers() throws Exception {
    BlockingQueue<String> seen = new LinkedBlockingQueue<>();
    client.resource(map("before", "1")).create();
    ResourceEventHandler<ConfigMap> handler = new ResourceEventHandler<>() {
      @Override
      public void onAdd(ConfigMap map) {
        seen.add("added " + map.getMetadata().getName());
      }

      @Override
      public void onUpdate(ConfigMap old, ConfigMap map) {
        seen.add("updated " + map.getMetadata().getName());
      }

      @Override
      public void onDelete(ConfigMap map, boolean unknown) {
        seen.add("deleted " + map.getMetadata().getName());
      }
    };
    try (var informer = client.configMaps().inNamespace(namespace).withLabel("for", "tests").inform(handler)) {
      check(next(seen), "added before");
      client.resource(map("after", "1")).create();
      check(next(seen), "added after");
      client.configMaps().inNamespace(namespace).withName("before").delete();
      check(next(seen), "deleted before");
      check(informer.getStore().list().size(), 1);
    }
  }

  /** Objects without classes, found by discovery; manifests in YAML; versions. */
  private void generic() {
    String yaml = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}\n---\n"
        + "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: l}\nspec: {holderIdentity: me}\n";
    client.load(new java.io.ByteArrayInputStream(yaml.getBytes())).inNamespace(namespace).create();
    check(client.secrets().inNamespace(namespace).withName("s").get().getData().get("k"), "dg==");
    GenericKubernetesResource lease =
        client.genericKubernetesResources("coordination.k8s.io/v1", "Lease").inNamespace(namespace).withName("l").get();
    check(lease.get("spec", "holderIdentity"), "me");
    check(client.supports("apps/v1", "Deployment"), true);
    check(client.supports("apps/v1", "Nonsense"), false);
    check(client.getKubernetesVersion().getMajor(), "1");
    check(client.getApiGroups().getGroups().stream().anyMatch(g -> g.getName().equals("networking.k8s.io")), true);
  }

  /** A Deployment becomes ready, is scaled, restarted and deleted with all that it made; a pod is evicted. */
  private void workloads() {
    var deployments = client.apps().deployments().inNamespace(namespace);
    var made = new DeploymentBuilder()
        .withNewMetadata().withName("d").withNamespace(namespace).endMetadata()
        .withNewSpec().withReplicas(2)
        .withNewSelector().addToMatchLabels("app", "d").endSelector()
        .withNewTemplate()
        .withNewMetadata().addToLabels("app", "d").endMetadata()
        .withNewSpec().addNewContainer().withName("c").withImage("orlop.dev/test:1").endContainer().endSpec()
        .endTemplate().endSpec()
        .build();
    deployments.resource(made).create();
    deployments.withName("d").waitUntilReady(PATIENCE, TimeUnit.SECONDS);
    check(deployments.withName("d").scale(3).getSpec().getReplicas(), 3);
    deployments.withName("d").waitUntilCondition(
        d -> d.getStatus().getReadyReplicas() != null && d.getStatus().getReadyReplicas() == 3, PATIENCE, TimeUnit.SECONDS);
    check(deployments.withName("d").scale().getStatus().getSelector(), "app=d");
    deployments.withName("d").rolling().restart();
    Pod pod = client.pods().inNamespace(namespace).withLabel("app", "d").list().getItems().get(0);
    check(client.pods().resource(pod).evict(), true);
    Pod other = new PodBuilder(pod).withNewMetadata().withName("bare").withNamespace(namespace).endMetadata().build();
    other.getSpec().setNodeName(null);
    check(refused(() -> client.pods().resource(
        new PodBuilder(other).editSpec().addNewContainer().withName("c").withImage("i").endContainer().endSpec().build())
        .create()), 422);
    deployments.withName("d").withPropagationPolicy(DeletionPropagation.FOREGROUND).delete();
    deployments.withName("d").waitUntilCondition(d -> d == null, PATIENCE, TimeUnit.SECONDS);
    check(client.apps().replicaSets().inNamespace(namespace).list().getItems(), List.of());
  }

  /** The client's leader election comes to hold a Lease. */
  private void leader() throws Exception {
    CountDownLatch leading = new CountDownLatch(1);
    var config = new LeaderElectionConfigBuilder()
        .withName("l")
        .withLock(new LeaseLock(namespace, "l", "me"))
        .withLeaseDuration(Duration.ofSeconds(15))
        .withRenewDeadline(Duration.ofSeconds(10))
        .withRetryPeriod(Duration.ofSeconds(1))
        .withLeaderCallbacks(new LeaderCallbacks(leading::countDown, () -> {}, who -> {}))
        .build();
    var elected = client.leaderElector().withConfig(config).build().start();
    check(leading.await(PATIENCE, TimeUnit.SECONDS), true);
    var leases = client.leases().inNamespace(namespace).withName("l");
    check(leases.get().getSpec().getHolderIdentity(), "me");
    elected.cancel(true);
  }
}
