package clients

import (
	"context"
	"net/url"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
)

// Informers fill their caches by a watch alone, without a list, and follow pods until they run.
func TestInformersWithWatchList(t *testing.T) {
	ctx, asked := t.Context(), &recorder{}
	cfg := config(t)
	client := kubernetes.NewForConfigOrDie(cfg)
	ns := namespace(t, client)
	_, err := client.AppsV1().Deployments(ns).Create(ctx, deployment("web", 3), metav1.CreateOptions{})
	must(t, err)
	observed := kubernetes.NewForConfigOrDie(asked.wrap(cfg))
	factory := informers.NewSharedInformerFactoryWithOptions(observed, 0, informers.WithNamespace(ns))
	pods, sets := factory.Core().V1().Pods(), factory.Apps().V1().ReplicaSets()
	podInformer, setInformer := pods.Informer(), sets.Informer()
	running, stop := context.WithCancel(ctx)
	factory.Start(running.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			t.Errorf("%v has not synced", kind)
		}
	}
	eventually(t, "three running pods in the cache", func(context.Context) (bool, error) {
		listed, err := pods.Lister().Pods(ns).List(labels.Everything())
		count := 0
		for _, pod := range listed {
			if pod.Status.Phase == corev1.PodRunning && pod.Status.ObservedGeneration == pod.Generation {
				count++
			}
		}
		return count == 3, err
	})
	if podInformer.LastSyncResourceVersion() == "" || len(setInformer.GetStore().List()) != 1 {
		t.Error("the caches are not of one world")
	}
	stop()
	factory.Shutdown()
	for _, resource := range []string{"/pods", "/replicasets"} {
		for _, text := range asked.queries(resource) {
			query, err := url.ParseQuery(text)
			must(t, err)
			if query.Get("watch") != "true" || query.Get("sendInitialEvents") != "true" {
				t.Errorf("%s was asked %q", resource, text)
			}
		}
	}
}
