package main

import (
	"context"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/endpoints/openapi"
	"k8s.io/apiserver/pkg/registry/rest"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/metrics/pkg/apis/metrics"
	"k8s.io/metrics/pkg/apis/metrics/install"
	"k8s.io/sample-apiserver/pkg/apiserver"
	"k8s.io/sample-apiserver/pkg/cmd/server"
	sampleopenapi "k8s.io/sample-apiserver/pkg/generated/openapi"
)

// run serves the sample's own group and metrics.k8s.io until the context ends.
func run(ctx context.Context, options *server.WardleServerOptions, args []string) error {
	if err := options.Complete(); err != nil {
		return err
	}
	if err := options.Validate(args); err != nil {
		return err
	}
	config, err := options.Config()
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	install.Install(scheme)
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	namer := openapi.NewDefinitionNamer(apiserver.Scheme, scheme)
	config.GenericConfig.OpenAPIConfig = genericapiserver.DefaultOpenAPIConfig(definitions, namer)
	config.GenericConfig.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(definitions, namer)
	made, err := config.Complete().New()
	if err != nil {
		return err
	}
	group := genericapiserver.NewDefaultAPIGroupInfo(metrics.GroupName, scheme, metav1.ParameterCodec, serializer.NewCodecFactory(scheme))
	group.VersionedResourcesStorageMap["v1beta1"] = map[string]rest.Storage{"nodes": &nodes{}, "pods": &pods{}}
	if err := made.GenericAPIServer.InstallAPIGroup(&group); err != nil {
		return err
	}
	made.GenericAPIServer.AddPostStartHookOrDie("start-informers", func(hook genericapiserver.PostStartHookContext) error {
		config.GenericConfig.SharedInformerFactory.Start(hook.Done())
		options.SharedInformerFactory.Start(hook.Done())
		return nil
	})
	return made.GenericAPIServer.PrepareRun().RunWithContext(ctx)
}

// definitions are the sample's, and what is enough of the metrics' for their paths to be described.
func definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	out := maps.Clone(sampleopenapi.GetOpenAPIDefinitions(ref))
	for _, name := range []string{"NodeMetrics", "NodeMetricsList", "PodMetrics", "PodMetricsList"} {
		out["k8s.io/metrics/pkg/apis/metrics/v1beta1."+name] = object(name + " is a reading")
		out["io.k8s.metrics.pkg.apis.metrics.v1beta1."+name] = object(name + " is a reading")
	}
	return out
}
