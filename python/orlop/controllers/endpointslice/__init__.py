"""EndpointSlices of Services with a selector.

Upstream: pkg/controller/endpointslice, staging/src/k8s.io/endpointslice. `endpoints` says what a pod is to a Service,
`packing` how endpoints are laid into slices, `controller` reads and writes.
"""

from orlop.controllers.endpointslice.controller import EndpointSliceController as EndpointSliceController
