package clients

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// TestEnvtest is what an operator's own test suite does: a control plane from KUBEBUILDER_ASSETS, with nothing set.
func TestEnvtest(t *testing.T) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal("KUBEBUILDER_ASSETS names no folder")
	}
	var said bytes.Buffer
	plane := &envtest.Environment{}
	plane.ControlPlane.GetAPIServer().Err = &said
	began := time.Now()
	cfg, err := plane.Start()
	if err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	t.Logf("ready after %.2f s", time.Since(began).Seconds())
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			must(t, plane.Stop())
		}
	})
	client := kubernetes.NewForConfigOrDie(cfg)
	ctx := context.Background()
	// No controllers run: pods can be made without a ServiceAccount, and stay as they are.
	template := deployment("web", 1)
	_, err = client.AppsV1().Deployments("default").Create(ctx, template, metav1.CreateOptions{})
	must(t, err)
	pod := barePod(template.Spec.Template.Spec)
	_, err = client.CoreV1().Pods("default").Create(ctx, pod, metav1.CreateOptions{})
	must(t, err)
	service, err := client.CoreV1().Services("default").Get(ctx, "kubernetes", metav1.GetOptions{})
	must(t, err)
	if service.Spec.ClusterIP != "10.0.0.1" {
		t.Errorf("the range of Services begins at %s", service.Spec.ClusterIP)
	}
	// Another user, under RBAC.
	user, err := plane.AddUser(envtest.User{Name: "somebody", Groups: []string{"people"}}, nil)
	must(t, err)
	_, err = kubernetes.NewForConfigOrDie(user.Config()).CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	if !errors.IsForbidden(err) || !strings.Contains(err.Error(), `User "somebody" cannot list resource "pods"`) {
		t.Errorf("somebody: %v", err)
	}
	kubectl, err := user.Kubectl()
	must(t, err)
	out, _, err := kubectl.Run("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
	must(t, err)
	if name, _ := io.ReadAll(out); string(name) != "somebody" {
		t.Errorf("kubectl is %q", name)
	}
	operate(t, cfg, "default", false)
	began = time.Now()
	must(t, plane.Stop())
	stopped = true
	t.Logf("stopped after %.2f s", time.Since(began).Seconds())
}
