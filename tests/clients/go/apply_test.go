package clients

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	appsv1apply "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1apply "k8s.io/client-go/applyconfigurations/core/v1"
	metav1apply "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Server-side apply by typed configurations: ownership, conflicts, force, extraction, giving up.
func TestServerSideApply(t *testing.T) {
	ctx := t.Context()
	client := kubernetes.NewForConfigOrDie(config(t))
	ns := namespace(t, client)
	deployments := client.AppsV1().Deployments(ns)
	labels := map[string]string{"app": "web"}
	wanted := appsv1apply.Deployment("web", ns).WithSpec(appsv1apply.DeploymentSpec().
		WithReplicas(0).
		WithSelector(metav1apply.LabelSelector().WithMatchLabels(labels)).
		WithTemplate(corev1apply.PodTemplateSpec().WithLabels(labels).WithSpec(corev1apply.PodSpec().WithContainers(
			corev1apply.Container().WithName("c").WithImage("img:1").WithPorts(
				corev1apply.ContainerPort().WithContainerPort(80)).WithEnv(corev1apply.EnvVar().WithName("A").WithValue("1"))))))
	first, err := deployments.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "one"})
	must(t, err)
	again, err := deployments.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "one"})
	must(t, err)
	if again.ResourceVersion != first.ResourceVersion {
		t.Error("the same configuration was written twice")
	}
	other := appsv1apply.Deployment("web", ns).WithSpec(appsv1apply.DeploymentSpec().WithTemplate(
		corev1apply.PodTemplateSpec().WithSpec(corev1apply.PodSpec().WithContainers(
			corev1apply.Container().WithName("c").WithImage("img:2")))))
	_, err = deployments.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "two"})
	if !errors.IsConflict(err) || !errors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict) {
		t.Errorf("two managers of one field: %v", err)
	}
	forced, err := deployments.Apply(ctx, other, metav1.ApplyOptions{FieldManager: "two", Force: true})
	must(t, err)
	container := forced.Spec.Template.Spec.Containers[0]
	if container.Image != "img:2" || len(container.Env) != 1 {
		t.Errorf("merged to %v", container)
	}
	mine, err := appsv1apply.ExtractDeployment(forced, "one")
	must(t, err)
	if got := mine.Spec.Template.Spec.Containers[0]; got.Image != nil || *got.Name != "c" {
		t.Errorf("what is still the first one's: %v", got)
	}
	wanted.Spec.Template.Spec.Containers[0].Env = nil
	wanted.Spec.Template.Spec.Containers[0].Image = nil
	given, err := deployments.Apply(ctx, wanted, metav1.ApplyOptions{FieldManager: "one"})
	must(t, err)
	if left := given.Spec.Template.Spec.Containers[0]; len(left.Env) != 0 || left.Image != "img:2" {
		t.Errorf("after giving up: %v", left)
	}
	status := appsv1apply.Deployment("web", ns).WithStatus(appsv1apply.DeploymentStatus().WithConditions(
		appsv1apply.DeploymentCondition().WithType("Mine").WithStatus(corev1.ConditionTrue)))
	_, err = deployments.ApplyStatus(ctx, status, metav1.ApplyOptions{FieldManager: "three"})
	must(t, err)
}
