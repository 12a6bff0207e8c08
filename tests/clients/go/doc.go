// Package clients holds what client-go and controller-runtime, unmodified, expect of an API server.
//
// The tests run against the cluster that KUBECONFIG names. TestEnvtest starts its own from KUBEBUILDER_ASSETS.
package clients
