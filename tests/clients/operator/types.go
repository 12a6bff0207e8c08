package main

import (
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/conversion"
)

var (
	v1 = schema.GroupVersion{Group: "fleet.example.com", Version: "v1"}
	v2 = schema.GroupVersion{Group: "fleet.example.com", Version: "v2"}
)

// ShipV1 says where a ship lies in one word: "x,y". It is the version that others convert to and from.
type ShipV1 struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              SpecV1 `json:"spec"`
	Status            Status `json:"status,omitempty"`
}

// SpecV1 is what is wanted of a ship.
type SpecV1 struct {
	Place string `json:"place"`
	Crew  int32  `json:"crew,omitempty"`
}

// Status is what a ship does.
type Status struct {
	Afloat bool `json:"afloat,omitempty"`
}

// ShipV2 has the two apart.
type ShipV2 struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              SpecV2 `json:"spec"`
	Status            Status `json:"status,omitempty"`
}

// SpecV2 is what is wanted of a ship.
type SpecV2 struct {
	X    int64 `json:"x"`
	Y    int64 `json:"y"`
	Crew int32 `json:"crew,omitempty"`
}

// ShipV1List and ShipV2List are lists of them.
type (
	ShipV1List struct {
		metav1.TypeMeta `json:",inline"`
		metav1.ListMeta `json:"metadata,omitempty"`
		Items           []ShipV1 `json:"items"`
	}
	ShipV2List struct {
		metav1.TypeMeta `json:",inline"`
		metav1.ListMeta `json:"metadata,omitempty"`
		Items           []ShipV2 `json:"items"`
	}
)

// Hub makes v1 the version that others convert to and from.
func (*ShipV1) Hub() {}

// ConvertTo makes a v1 of it.
func (s *ShipV2) ConvertTo(hub conversion.Hub) error {
	out := hub.(*ShipV1)
	out.ObjectMeta, out.Status = s.ObjectMeta, s.Status
	out.Spec = SpecV1{Place: strconv.FormatInt(s.Spec.X, 10) + "," + strconv.FormatInt(s.Spec.Y, 10), Crew: s.Spec.Crew}
	return nil
}

// ConvertFrom makes it of a v1.
func (s *ShipV2) ConvertFrom(hub conversion.Hub) error {
	in := hub.(*ShipV1)
	x, y, _ := strings.Cut(in.Spec.Place, ",")
	s.ObjectMeta, s.Status = in.ObjectMeta, in.Status
	var err error
	if s.Spec.X, err = strconv.ParseInt(x, 10, 64); err != nil {
		return err
	}
	s.Spec.Y, err = strconv.ParseInt(y, 10, 64)
	s.Spec.Crew = in.Spec.Crew
	return err
}

// DeepCopyObject and the others are what controller-gen would write.
func (s *ShipV1) DeepCopyObject() runtime.Object {
	out := *s
	s.DeepCopyInto(&out.ObjectMeta)
	return &out
}

// DeepCopyObject copies.
func (s *ShipV2) DeepCopyObject() runtime.Object {
	out := *s
	s.DeepCopyInto(&out.ObjectMeta)
	return &out
}

// DeepCopyObject copies.
func (l *ShipV1List) DeepCopyObject() runtime.Object {
	out := *l
	out.Items = nil
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopyObject().(*ShipV1))
	}
	return &out
}

// DeepCopyObject copies.
func (l *ShipV2List) DeepCopyObject() runtime.Object {
	out := *l
	out.Items = nil
	for i := range l.Items {
		out.Items = append(out.Items, *l.Items[i].DeepCopyObject().(*ShipV2))
	}
	return &out
}

func register(scheme *runtime.Scheme) {
	scheme.AddKnownTypeWithName(v1.WithKind("Ship"), &ShipV1{})
	scheme.AddKnownTypeWithName(v1.WithKind("ShipList"), &ShipV1List{})
	scheme.AddKnownTypeWithName(v2.WithKind("Ship"), &ShipV2{})
	scheme.AddKnownTypeWithName(v2.WithKind("ShipList"), &ShipV2List{})
	metav1.AddToGroupVersion(scheme, v1)
	metav1.AddToGroupVersion(scheme, v2)
}
