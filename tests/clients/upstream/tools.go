// Package upstream names the programs of Kubernetes' own repository that tests build: tests/clients/test_upstream.py.
package upstream

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver/app"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	_ "k8s.io/kubernetes/cmd/kube-scheduler/app"
)
