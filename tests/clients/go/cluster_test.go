package clients

import (
	"context"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const patience = 30 * time.Second

// config is the admin's, from KUBECONFIG.
func config(t *testing.T) *rest.Config {
	t.Helper()
	file := os.Getenv("KUBECONFIG")
	if file == "" {
		t.Fatal("KUBECONFIG names no cluster")
	}
	made, err := clientcmd.BuildConfigFromFlags("", file)
	must(t, err)
	made.QPS, made.Burst = -1, -1
	return made
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// namespace is one of the test's own, whose default ServiceAccount is there.
func namespace(t *testing.T, client kubernetes.Interface) string {
	t.Helper()
	ctx := t.Context()
	made, err := client.CoreV1().Namespaces().Create(
		ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "go-"}}, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() {
		if err := client.CoreV1().Namespaces().Delete(context.Background(), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the default ServiceAccount", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, nil
	})
	return made.Name
}

func eventually(t *testing.T, what string, holds wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, holds); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// recorder notes what is asked and in which media types.
type recorder struct {
	sync.Mutex
	seen []*http.Request
}

func (r *recorder) wrap(config *rest.Config) *rest.Config {
	copied := rest.CopyConfig(config)
	copied.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			r.Lock()
			r.seen = append(r.seen, request)
			r.Unlock()
			return next.RoundTrip(request)
		})
	})
	return copied
}

// queries are those of the requests whose path ends so.
func (r *recorder) queries(suffix string) []string {
	r.Lock()
	defer r.Unlock()
	var out []string
	for _, request := range r.seen {
		if strings.HasSuffix(request.URL.Path, suffix) {
			out = append(out, request.URL.RawQuery)
		}
	}
	return out
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
