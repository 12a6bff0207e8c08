package clients

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/pager"
	"k8s.io/client-go/tools/record"
	watchtools "k8s.io/client-go/tools/watch"
	"k8s.io/client-go/util/retry"
)

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

func deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "img"}}},
			},
		},
	}
}

// Typed clients of built-in kinds speak protobuf by themselves, and a rollout is followed by a watch.
func TestTyped(t *testing.T) {
	ctx, asked := t.Context(), &recorder{}
	client := kubernetes.NewForConfigOrDie(asked.wrap(config(t)))
	ns := namespace(t, client)
	_, err := client.AppsV1().Deployments(ns).Create(ctx, deployment("web", 2), metav1.CreateOptions{})
	must(t, err)
	watching := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return client.AppsV1().Deployments(ns).List(ctx, options)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return client.AppsV1().Deployments(ns).Watch(ctx, options)
		},
	}
	limited, stop := context.WithTimeout(ctx, patience)
	defer stop()
	event, err := watchtools.UntilWithSync(limited, watching, &appsv1.Deployment{}, nil, func(event watch.Event) (bool, error) {
		seen, is := event.Object.(*appsv1.Deployment)
		return is && seen.Status.AvailableReplicas == 2, nil
	})
	must(t, err)
	if seen := event.Object.(*appsv1.Deployment); seen.Status.ObservedGeneration != seen.Generation {
		t.Errorf("observed generation %d of %d", seen.Status.ObservedGeneration, seen.Generation)
	}
	scale, err := client.AppsV1().Deployments(ns).GetScale(ctx, "web", metav1.GetOptions{})
	must(t, err)
	scale.Spec.Replicas = 1
	_, err = client.AppsV1().Deployments(ns).UpdateScale(ctx, "web", scale, metav1.UpdateOptions{})
	must(t, err)
	asked.Lock()
	defer asked.Unlock()
	for _, request := range asked.seen {
		if request.Method == http.MethodPost && request.Header.Get("Content-Type") != runtime.ContentTypeProtobuf {
			t.Errorf("%s %s in %s", request.Method, request.URL, request.Header.Get("Content-Type"))
		}
	}
}

// Errors are told apart by their reasons, and retries by them end well.
func TestErrors(t *testing.T) {
	ctx := t.Context()
	client := kubernetes.NewForConfigOrDie(config(t))
	ns := namespace(t, client)
	maps := client.CoreV1().ConfigMaps(ns)
	made, err := maps.Create(ctx, configMap("m", nil), metav1.CreateOptions{})
	must(t, err)
	_, err = maps.Create(ctx, configMap("m", nil), metav1.CreateOptions{})
	if !errors.IsAlreadyExists(err) {
		t.Errorf("a second create: %v", err)
	}
	_, err = maps.Get(ctx, "none", metav1.GetOptions{})
	if !errors.IsNotFound(err) {
		t.Errorf("a get of nothing: %v", err)
	}
	_, err = maps.Create(ctx, configMap("Not A Name", nil), metav1.CreateOptions{})
	if !errors.IsInvalid(err) || !errors.HasStatusCause(err, metav1.CauseTypeFieldValueInvalid) {
		t.Errorf("a wrong name: %v", err)
	}
	if _, err = maps.Patch(ctx, "m", types.MergePatchType, []byte(`{"data":{"a":"1"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	made.Data = map[string]string{"b": "2"}
	if _, err = maps.Update(ctx, made, metav1.UpdateOptions{}); !errors.IsConflict(err) {
		t.Errorf("an update of what is old: %v", err)
	}
	must(t, retry.RetryOnConflict(retry.DefaultRetry, func() error {
		current, err := maps.Get(ctx, "m", metav1.GetOptions{})
		if err != nil {
			return err
		}
		current.Data["b"] = "2"
		_, err = maps.Update(ctx, current, metav1.UpdateOptions{})
		return err
	}))
	wrong := types.UID("other")
	err = maps.Delete(ctx, "m", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &wrong}})
	if !errors.IsConflict(err) {
		t.Errorf("a delete of another one: %v", err)
	}
	_, err = maps.List(ctx, metav1.ListOptions{ResourceVersion: "1", Continue: "x"})
	if !errors.IsBadRequest(err) && !errors.IsInvalid(err) {
		t.Errorf("options that exclude each other: %v", err)
	}
}

// The pager reads one state in pages and takes the way on that an expired token offers.
func TestPager(t *testing.T) {
	ctx, asked := t.Context(), &recorder{}
	client := kubernetes.NewForConfigOrDie(asked.wrap(config(t)))
	ns := namespace(t, client)
	for i := range 25 {
		_, err := client.CoreV1().ConfigMaps(ns).Create(ctx, configMap(fmt.Sprintf("m-%02d", i), nil), metav1.CreateOptions{})
		must(t, err)
	}
	pages := pager.New(func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
		options.LabelSelector = ""
		return client.CoreV1().ConfigMaps(ns).List(ctx, options)
	})
	pages.PageSize = 10
	count := 0
	must(t, pages.EachListItem(ctx, metav1.ListOptions{}, func(runtime.Object) error { count++; return nil }))
	if lists := len(asked.queries("/configmaps")) - 25; count < 25 || lists != 3 {
		t.Errorf("%d objects in %d pages", count, lists)
	}
}

// The subresources that operators use: eviction, tokens, reviews, scale of the older version, status.
func TestSubresources(t *testing.T) {
	ctx := t.Context()
	client := kubernetes.NewForConfigOrDie(config(t))
	ns := namespace(t, client)
	hour := int64(3600)
	token, err := client.CoreV1().ServiceAccounts(ns).CreateToken(ctx, "default", &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}, metav1.CreateOptions{})
	must(t, err)
	review, err := client.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token.Status.Token}}, metav1.CreateOptions{})
	must(t, err)
	if want := "system:serviceaccount:" + ns + ":default"; review.Status.User.Username != want {
		t.Errorf("%q is not %q", review.Status.User.Username, want)
	}
	access, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "create", Resource: "pods", Namespace: ns}}}, metav1.CreateOptions{})
	must(t, err)
	if !access.Status.Allowed {
		t.Error("the admin may not create pods")
	}
	pod := barePod(deployment("p", 1).Spec.Template.Spec)
	_, err = client.CoreV1().Pods(ns).Create(ctx, pod, metav1.CreateOptions{})
	must(t, err)
	eventually(t, "a running pod", func(ctx context.Context) (bool, error) {
		got, err := client.CoreV1().Pods(ns).Get(ctx, "p", metav1.GetOptions{})
		return err == nil && got.Status.Phase == corev1.PodRunning, err
	})
	must(t, client.PolicyV1().Evictions(ns).Evict(ctx, &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: ns}}))
	eventually(t, "the pod's end", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Pods(ns).Get(ctx, "p", metav1.GetOptions{})
		return errors.IsNotFound(err), nil
	})
	older, err := client.AutoscalingV1().HorizontalPodAutoscalers(ns).Create(ctx, &autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "h"},
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			MaxReplicas: 3, ScaleTargetRef: autoscalingv1.CrossVersionObjectReference{Kind: "Deployment", Name: "x", APIVersion: "apps/v1"},
		}}, metav1.CreateOptions{})
	must(t, err)
	newer, err := client.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(ctx, "h", metav1.GetOptions{})
	must(t, err)
	if older.UID != newer.UID || older.ResourceVersion != newer.ResourceVersion {
		t.Error("two objects in two versions")
	}
}

// Events are recorded, then counted by patches.
func TestEvents(t *testing.T) {
	client := kubernetes.NewForConfigOrDie(config(t))
	ns := namespace(t, client)
	made, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("m", nil), metav1.CreateOptions{})
	must(t, err)
	broadcaster := record.NewBroadcaster(record.WithContext(t.Context()))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&eventSink{client, ns})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "go"})
	for range 3 {
		recorder.Event(made, corev1.EventTypeNormal, "Said", "again")
	}
	eventually(t, "an event with a count", func(ctx context.Context) (bool, error) {
		found, err := client.CoreV1().Events(ns).Search(scheme.Scheme, made)
		return err == nil && len(found.Items) == 1 && found.Items[0].Count == 3, err
	})
}

func barePod(spec corev1.PodSpec) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: spec}
}

// An answer that says when to come again is asked for again, until it is another.
func TestRetries(t *testing.T) {
	ctx, asked := t.Context(), &recorder{}
	client := kubernetes.NewForConfigOrDie(asked.wrap(config(t)))
	ns := namespace(t, client)
	// A revision that is yet to come: 504 with Retry-After while it has not.
	made, err := client.CoreV1().ConfigMaps(ns).Create(ctx, configMap("m", nil), metav1.CreateOptions{})
	must(t, err)
	revision, err := strconv.ParseUint(made.ResourceVersion, 10, 64)
	must(t, err)
	ahead := strconv.FormatUint(revision+100, 10)
	done := make(chan error, 1)
	go func() {
		_, err := client.CoreV1().ConfigMaps(ns).List(ctx, metav1.ListOptions{ResourceVersion: ahead})
		done <- err
	}()
	eventually(t, "a second attempt", func(context.Context) (bool, error) {
		return len(asked.queries("/configmaps")) >= 3, nil // one create, two lists
	})
	for i := range 100 {
		_, err := client.CoreV1().ConfigMaps(ns).Create(ctx, configMap(fmt.Sprintf("n-%d", i), nil), metav1.CreateOptions{})
		must(t, err)
	}
	must(t, <-done)
}
