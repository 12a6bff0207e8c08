// An operator on controller-runtime, as its authors write them: a kind in two versions with a conversion webhook,
// defaulting and validating webhooks, finalizers and status. Its CustomResourceDefinition and webhook configurations
// are applied by others.
package main

import (
	"context"
	"errors"
	"flag"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

const finalizer = "fleet.example.com/moored"

type captain struct{ client.Client }

// Reconcile launches a ship, and moors it before it goes.
func (c *captain) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var ship ShipV2
	if err := c.Get(ctx, request.NamespacedName, &ship); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !ship.DeletionTimestamp.IsZero() {
		if controllerutil.RemoveFinalizer(&ship, finalizer) {
			return ctrl.Result{}, c.Update(ctx, &ship)
		}
		return ctrl.Result{}, nil
	}
	if controllerutil.AddFinalizer(&ship, finalizer) {
		return ctrl.Result{}, c.Update(ctx, &ship)
	}
	if !ship.Status.Afloat {
		ship.Status.Afloat = true
		return ctrl.Result{}, c.Status().Update(ctx, &ship)
	}
	return ctrl.Result{}, nil
}

type harbour struct{}

// Default gives a ship a crew.
func (harbour) Default(_ context.Context, ship *ShipV1) error {
	if ship.Spec.Crew == 0 {
		ship.Spec.Crew = 7
	}
	return nil
}

// ValidateCreate refuses ships that are too large.
func (harbour) ValidateCreate(_ context.Context, ship *ShipV1) (admission.Warnings, error) {
	return check(ship)
}

// ValidateUpdate refuses what ValidateCreate does.
func (harbour) ValidateUpdate(_ context.Context, _, ship *ShipV1) (admission.Warnings, error) {
	return check(ship)
}

// ValidateDelete lets every ship go.
func (harbour) ValidateDelete(context.Context, *ShipV1) (admission.Warnings, error) { return nil, nil }

func check(ship *ShipV1) (admission.Warnings, error) {
	if ship.Spec.Crew > 100 {
		return nil, errors.New("no ship has more than 100 hands")
	}
	if ship.Spec.Crew > 50 {
		return admission.Warnings{"that is a large crew"}, nil
	}
	return nil, nil
}

func main() {
	folder := flag.String("certificates", "", "the folder of tls.crt and tls.key")
	port := flag.Int("port", 0, "where the webhooks are served")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	if err := run(*folder, *port); err != nil {
		ctrl.Log.Error(err, "the operator ended")
		os.Exit(1)
	}
}

func run(folder string, port int) error {
	all := runtime.NewScheme()
	if err := scheme.AddToScheme(all); err != nil {
		return err
	}
	register(all)
	manager, err := ctrl.NewManager(ctrl.GetConfigOrDie(), ctrl.Options{
		Scheme:        all,
		Metrics:       server.Options{BindAddress: "0"},
		WebhookServer: webhook.NewServer(webhook.Options{Port: port, CertDir: folder}),
	})
	if err != nil {
		return err
	}
	err = ctrl.NewWebhookManagedBy(manager, &ShipV1{}).WithDefaulter(harbour{}).WithValidator(harbour{}).Complete()
	if err != nil {
		return err
	}
	if err := ctrl.NewControllerManagedBy(manager).For(&ShipV2{}).Complete(&captain{manager.GetClient()}); err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}
