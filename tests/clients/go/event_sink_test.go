package clients

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

// eventSink writes events as client-go's own sink does, in one namespace.
type eventSink struct {
	client    kubernetes.Interface
	namespace string
}

func (s *eventSink) Create(event *corev1.Event) (*corev1.Event, error) {
	return s.client.CoreV1().Events(s.namespace).CreateWithEventNamespace(event)
}

func (s *eventSink) Update(event *corev1.Event) (*corev1.Event, error) {
	return s.client.CoreV1().Events(s.namespace).UpdateWithEventNamespace(event)
}

func (s *eventSink) Patch(old *corev1.Event, data []byte) (*corev1.Event, error) {
	return s.client.CoreV1().Events(s.namespace).PatchWithEventNamespace(old, data)
}
