package clients

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// Of two candidates one leads; when it ends it lets go, and the other leads.
func TestLeaderElection(t *testing.T) {
	client := kubernetes.NewForConfigOrDie(config(t))
	ns := namespace(t, client)
	candidate := func(name string) (started <-chan struct{}, end func()) {
		began, over := make(chan struct{}), make(chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		lock := &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Name: "lock", Namespace: ns},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: name},
		}
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: lock, ReleaseOnCancel: true,
			LeaseDuration: 15 * time.Second, RenewDeadline: 10 * time.Second, RetryPeriod: 100 * time.Millisecond,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { close(began) },
				OnStoppedLeading: func() {},
			},
		})
		must(t, err)
		go func() { defer close(over); elector.Run(ctx) }()
		return began, func() { stop(); <-over }
	}
	first, endFirst := candidate("first")
	<-first
	second, endSecond := candidate("second")
	eventually(t, "a renewal", func(ctx context.Context) (bool, error) {
		lease, err := client.CoordinationV1().Leases(ns).Get(ctx, "lock", metav1.GetOptions{})
		return err == nil && lease.Spec.RenewTime.After(lease.Spec.AcquireTime.Time), err
	})
	select {
	case <-second:
		t.Fatal("two leaders")
	default:
	}
	endFirst()
	<-second
	lease, err := client.CoordinationV1().Leases(ns).Get(t.Context(), "lock", metav1.GetOptions{})
	must(t, err)
	if *lease.Spec.HolderIdentity != "second" || *lease.Spec.LeaseTransitions == 0 {
		t.Errorf("the lease is %v", lease.Spec)
	}
	endSecond()
}
