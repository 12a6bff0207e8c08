package clients

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	crconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"k8s.io/client-go/kubernetes"
)

// copier keeps a Secret beside each ConfigMap that asks for one, and cleans up by a finalizer.
type copier struct {
	client.Client
	cleaned chan string
}

const finalizer = "example.com/copied"

func (c *copier) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var source corev1.ConfigMap
	if err := c.Get(ctx, request.NamespacedName, &source); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if source.Labels["copy"] != "yes" {
		return ctrl.Result{}, nil
	}
	if !source.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(&source, finalizer) {
			c.cleaned <- source.Name
			return ctrl.Result{}, c.Update(ctx, &source)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(&source, finalizer) {
		if err := c.Update(ctx, &source); err != nil {
			return ctrl.Result{}, err
		}
	}
	copied := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: source.Namespace, Name: source.Name}}
	_, err := controllerutil.CreateOrUpdate(ctx, c.Client, copied, func() error {
		copied.StringData = source.Data
		return controllerutil.SetControllerReference(&source, copied, c.Scheme())
	})
	return ctrl.Result{}, err
}

// operate runs an operator in a namespace and follows one object from its making to its end. Its copy goes only where
// a garbage collector runs.
func operate(t *testing.T, cfg *rest.Config, ns string, collected bool) {
	ctx, stop := context.WithCancel(t.Context())
	unique := true
	manager, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                  scheme.Scheme,
		Metrics:                 server.Options{BindAddress: "0"},
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{ns: {}}},
		LeaderElection:          true,
		LeaderElectionID:        "copier",
		LeaderElectionNamespace: ns, LeaderElectionReleaseOnCancel: true,
		Controller: crconfig.Controller{SkipNameValidation: &unique},
	})
	must(t, err)
	must(t, manager.GetFieldIndexer().IndexField(ctx, &corev1.Secret{}, "type", func(object client.Object) []string {
		return []string{string(object.(*corev1.Secret).Type)}
	}))
	work := &copier{manager.GetClient(), make(chan string, 10)}
	must(t, ctrl.NewControllerManagedBy(manager).For(&corev1.ConfigMap{}).Owns(&corev1.Secret{}).Complete(work))
	over := make(chan error, 1)
	go func() { over <- manager.Start(ctx) }()
	if !manager.GetCache().WaitForCacheSync(ctx) {
		t.Fatal("the caches have not synced")
	}
	direct, err := client.New(cfg, client.Options{})
	must(t, err)
	source := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "m", Labels: map[string]string{"copy": "yes"}},
		Data:       map[string]string{"a": "1"},
	}
	must(t, direct.Create(ctx, source))
	key := client.ObjectKeyFromObject(source)
	holds := func(value string) func(context.Context) (bool, error) {
		return func(ctx context.Context) (bool, error) {
			var listed corev1.SecretList // from the cache, by its index
			err := manager.GetClient().List(ctx, &listed, client.InNamespace(ns), client.MatchingFields{"type": "Opaque"})
			return err == nil && len(listed.Items) == 1 && string(listed.Items[0].Data["a"]) == value, err
		}
	}
	eventually(t, "the copy in the cache", holds("1"))
	before := source.DeepCopy()
	must(t, direct.Get(ctx, key, source))
	source.DeepCopyInto(before)
	source.Data["a"] = "2"
	must(t, direct.Patch(ctx, source, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})))
	eventually(t, "the change in the copy", holds("2"))
	must(t, direct.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "m"}}))
	eventually(t, "the copy again", holds("2"))
	must(t, direct.Delete(ctx, source, client.PropagationPolicy(metav1.DeletePropagationBackground)))
	if name := <-work.cleaned; name != "m" {
		t.Errorf("cleaned %s", name)
	}
	eventually(t, "the end of the source", func(ctx context.Context) (bool, error) {
		return errors.IsNotFound(direct.Get(ctx, key, &corev1.ConfigMap{})), nil
	})
	if collected {
		eventually(t, "the end of the copy", func(ctx context.Context) (bool, error) {
			return errors.IsNotFound(direct.Get(ctx, key, &corev1.Secret{})), nil
		})
	}
	stop()
	must(t, <-over)
}

// An operator on controller-runtime: cached reads, an index, ownership, finalizers, leader election.
func TestControllerRuntime(t *testing.T) {
	cfg := config(t)
	operate(t, cfg, namespace(t, kubernetes.NewForConfigOrDie(cfg)), true)
}

// controller-runtime's client by type, without type and for metadata alone, dry and by apply.
func TestClientOfControllerRuntime(t *testing.T) {
	ctx, cfg := t.Context(), config(t)
	ns := namespace(t, kubernetes.NewForConfigOrDie(cfg))
	typed, err := client.New(cfg, client.Options{})
	must(t, err)
	made := configMap("m", map[string]string{"a": "1"})
	made.Namespace = ns
	must(t, client.NewDryRunClient(typed).Create(ctx, made.DeepCopy()))
	if err := typed.Get(ctx, client.ObjectKeyFromObject(made), made.DeepCopy()); !errors.IsNotFound(err) {
		t.Errorf("a dry run was kept: %v", err)
	}
	must(t, typed.Create(ctx, made))
	gvk, err := apiutil.GVKForObject(made, scheme.Scheme)
	must(t, err)
	only := &metav1.PartialObjectMetadata{}
	only.SetGroupVersionKind(gvk)
	must(t, typed.Get(ctx, client.ObjectKeyFromObject(made), only))
	if only.UID != made.UID {
		t.Error("the metadata of another object")
	}
	only.Annotations = map[string]string{"note": "x"}
	must(t, typed.Update(ctx, made))
	strict := client.WithFieldValidation(typed, metav1.FieldValidationStrict)
	err = strict.Patch(ctx, made, client.RawPatch("application/merge-patch+json", []byte(`{"date":{}}`)))
	if !errors.IsBadRequest(err) && !errors.IsInvalid(err) {
		t.Errorf("an unknown field in a strict patch: %v", err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "p"}, Spec: deployment("p", 1).Spec.Template.Spec}
	must(t, typed.Create(ctx, pod))
	before := pod.DeepCopy()
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: "example.com/Gate", Status: corev1.ConditionTrue})
	must(t, typed.Status().Patch(ctx, pod, client.StrategicMergeFrom(before)))
	must(t, typed.DeleteAllOf(ctx, &corev1.ConfigMap{}, client.InNamespace(ns), client.MatchingFields{"metadata.name": "m"}))
}
