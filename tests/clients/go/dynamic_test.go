package clients

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
)

// A kind is found by discovery, then applied, read, selected and deleted without its Go type.
func TestDynamic(t *testing.T) {
	ctx, cfg := t.Context(), config(t)
	client := kubernetes.NewForConfigOrDie(cfg)
	ns := namespace(t, client)
	found := discovery.NewDiscoveryClientForConfigOrDie(cfg)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(found))
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: "apps", Kind: "StatefulSet"}, "v1")
	must(t, err)
	sets := dynamic.NewForConfigOrDie(cfg).Resource(mapping.Resource).Namespace(ns)
	wanted := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "StatefulSet",
		"metadata": map[string]any{"name": "s", "labels": map[string]any{"a": "b"}},
		"spec": map[string]any{
			"serviceName": "s", "replicas": int64(0),
			"selector": map[string]any{"matchLabels": map[string]any{"a": "b"}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"a": "b"}},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "c", "image": "img"}}},
			},
		},
	}}
	made, err := sets.Apply(ctx, "s", wanted, metav1.ApplyOptions{FieldManager: "dynamic"})
	must(t, err)
	if policy, _, _ := unstructured.NestedString(made.Object, "spec", "podManagementPolicy"); policy != "OrderedReady" {
		t.Errorf("the default is %q", policy)
	}
	scales, err := scale.NewForConfig(cfg, mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(found))
	must(t, err)
	got, err := scales.Scales(ns).Get(ctx, mapping.Resource.GroupResource(), "s", metav1.GetOptions{})
	must(t, err)
	if got.Spec.Replicas != 0 || got.Status.Selector != "a=b" {
		t.Errorf("the scale is %v", got)
	}
	listed, err := sets.List(ctx, metav1.ListOptions{LabelSelector: "a in (b)", FieldSelector: "metadata.name=s"})
	must(t, err)
	if len(listed.Items) != 1 || listed.GetKind() != "StatefulSetList" {
		t.Errorf("%s of %d", listed.GetKind(), len(listed.Items))
	}
	must(t, sets.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "a=b"}))
	eventually(t, "its end", func(ctx context.Context) (bool, error) {
		_, err := sets.Get(ctx, "s", metav1.GetOptions{})
		return errors.IsNotFound(err), nil
	})
}

// Every group, version and resource is read without an error, in one aggregated answer, and the older one.
func TestDiscovery(t *testing.T) {
	asked := &recorder{}
	client := discovery.NewDiscoveryClientForConfigOrDie(asked.wrap(config(t)))
	groups, resources, err := client.ServerGroupsAndResources()
	must(t, err)
	if len(groups) < 15 || len(resources) < 20 {
		t.Errorf("%d groups, %d lists", len(groups), len(resources))
	}
	if requests := len(asked.queries("")); requests != 2 {
		t.Errorf("%d requests where /api and /apis say all", requests)
	}
	older := discovery.NewDiscoveryClientForConfigOrDie(config(t))
	older.UseLegacyDiscovery = true
	_, same, err := older.ServerGroupsAndResources()
	must(t, err)
	if len(same) != len(resources) {
		t.Errorf("%d lists one by one, %d aggregated", len(same), len(resources))
	}
	_, err = client.OpenAPISchema()
	must(t, err)
	paths, err := client.OpenAPIV3().Paths()
	must(t, err)
	document, err := paths["apis/apps/v1"].Schema("application/com.github.proto-openapi.spec.v3@v1.0+protobuf")
	must(t, err)
	if len(document) == 0 {
		t.Error("no document of apps/v1")
	}
	version, err := client.ServerVersion()
	must(t, err)
	if version.Major != "1" || version.Minor != "37" {
		t.Errorf("%s.%s", version.Major, version.Minor)
	}
}

// Metadata informers get no more than metadata, and follow changes.
func TestMetadata(t *testing.T) {
	cfg := config(t)
	client := kubernetes.NewForConfigOrDie(cfg)
	ns := namespace(t, client)
	secrets := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	only := metadata.NewForConfigOrDie(cfg)
	factory := metadatainformer.NewFilteredSharedInformerFactory(only, 0, ns, nil)
	informer := factory.ForResource(secrets)
	seen := make(chan metav1.Object, 10)
	_, err := informer.Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { seen <- object.(*metav1.PartialObjectMetadata) },
	})
	must(t, err)
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
	_, err = client.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "s", Labels: map[string]string{"a": "b"}},
		StringData: map[string]string{"a": "hidden"},
	}, metav1.CreateOptions{})
	must(t, err)
	if got := <-seen; got.GetName() != "s" || got.GetLabels()["a"] != "b" {
		t.Errorf("%v", got)
	}
	must(t, only.Resource(secrets).Namespace(ns).Delete(t.Context(), "s", metav1.DeleteOptions{}))
	eventually(t, "the cache without it", func(context.Context) (bool, error) {
		_, err := informer.Lister().ByNamespace(ns).Get("s")
		return errors.IsNotFound(err), nil
	})
}
