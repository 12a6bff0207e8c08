// An aggregated API server: k8s.io/sample-apiserver as it is, over an etcd in the same program, with metrics.k8s.io
// beside its own group.
package main

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	"k8s.io/sample-apiserver/pkg/cmd/server"
)

func main() {
	ctx := genericapiserver.SetupSignalContext()
	folder := pflag.String("etcd-folder", "", "where the etcd of this program keeps its data")
	options := server.NewWardleServerOptions(os.Stdout, os.Stderr)
	command := server.NewCommandStartWardleServer(ctx, options, false)
	command.Flags().AddFlag(pflag.Lookup("etcd-folder"))
	command.RunE = func(cmd *cobra.Command, args []string) error {
		stop, address, err := startEtcd(*folder)
		if err != nil {
			return err
		}
		defer stop()
		if err := cmd.Flags().Set("etcd-servers", address); err != nil {
			return err
		}
		return run(cmd.Context(), options, args)
	}
	os.Exit(cli.Run(command))
}
