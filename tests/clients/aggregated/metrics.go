package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/metrics/pkg/apis/metrics"
)

func object(words string) common.OpenAPIDefinition {
	return common.OpenAPIDefinition{Schema: spec.Schema{SchemaProps: spec.SchemaProps{Description: words, Type: []string{"object"}}}}
}

// used is what everything uses, always.
func used() corev1.ResourceList {
	return corev1.ResourceList{"cpu": resource.MustParse("250m"), "memory": resource.MustParse("64Mi")}
}

func now() (metav1.Time, metav1.Duration) {
	return metav1.NewTime(time.Now()), metav1.Duration{Duration: 15 * time.Second}
}

// nodes answers for one node, n1.
type nodes struct{}

var (
	_ rest.Lister = &nodes{}
	_ rest.Getter = &nodes{}
	_ rest.Lister = &pods{}
	_ rest.Getter = &pods{}
)

func (*nodes) New() runtime.Object     { return &metrics.NodeMetrics{} }
func (*nodes) NewList() runtime.Object { return &metrics.NodeMetricsList{} }
func (*nodes) Destroy()                {}
func (*nodes) NamespaceScoped() bool   { return false }
func (*nodes) GetSingularName() string { return "node" }
func (*nodes) Kind() string            { return "NodeMetrics" }
func (*pods) New() runtime.Object      { return &metrics.PodMetrics{} }
func (*pods) NewList() runtime.Object  { return &metrics.PodMetricsList{} }
func (*pods) Destroy()                 {}
func (*pods) NamespaceScoped() bool    { return true }
func (*pods) GetSingularName() string  { return "pod" }
func (*pods) Kind() string             { return "PodMetrics" }

func (*nodes) one() metrics.NodeMetrics {
	at, window := now()
	return metrics.NodeMetrics{ObjectMeta: metav1.ObjectMeta{Name: "n1"}, Timestamp: at, Window: window, Usage: used()}
}

func (n *nodes) List(context.Context, *internalversion.ListOptions) (runtime.Object, error) {
	return &metrics.NodeMetricsList{Items: []metrics.NodeMetrics{n.one()}}, nil
}

func (n *nodes) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if name != "n1" {
		return nil, errors.NewNotFound(metrics.Resource("nodes"), name)
	}
	one := n.one()
	return &one, nil
}

func (n *nodes) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	return rest.NewDefaultTableConvertor(metrics.Resource("nodes")).ConvertToTable(ctx, object, options)
}

// pods answers for one pod of each namespace, p1.
type pods struct{}

func (*pods) one(ctx context.Context) metrics.PodMetrics {
	at, window := now()
	return metrics.PodMetrics{
		ObjectMeta: metav1.ObjectMeta{Name: "p1", Namespace: request.NamespaceValue(ctx)},
		Timestamp:  at, Window: window,
		Containers: []metrics.ContainerMetrics{{Name: "c", Usage: used()}},
	}
}

func (p *pods) List(ctx context.Context, _ *internalversion.ListOptions) (runtime.Object, error) {
	return &metrics.PodMetricsList{Items: []metrics.PodMetrics{p.one(ctx)}}, nil
}

func (p *pods) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if name != "p1" {
		return nil, errors.NewNotFound(metrics.Resource("pods"), name)
	}
	one := p.one(ctx)
	return &one, nil
}

func (p *pods) ConvertToTable(ctx context.Context, object, options runtime.Object) (*metav1.Table, error) {
	return rest.NewDefaultTableConvertor(metrics.Resource("pods")).ConvertToTable(ctx, object, options)
}
