package deploy

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const root = "../.."

// A cluster holds kustomize's output for a folder, decoded into Kubernetes' own types.
type cluster []runtime.Object

// build does what `kubectl kustomize` does and decodes the documents strictly: an unknown or duplicate field, or one of the
// wrong type, is an error.
func build(t *testing.T, dir string) cluster {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(root, dir))
	if err != nil {
		t.Fatal(err)
	}
	text, err := made.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, text)
}

func decode(t *testing.T, text []byte) (all cluster) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewDocumentDecoder(readCloser{bytes.NewReader(text)})
	for {
		document := make([]byte, len(text))
		n, err := documents.Read(document)
		if err != nil {
			break
		}
		o, _, err := decoder.Decode(document[:n], nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, document[:n])
		}
		all = append(all, o)
	}
	if len(all) == 0 {
		t.Fatal("no documents found")
	}
	return all
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// find returns the object with this type and name.
func find[T metav1.Object](t *testing.T, c cluster, name string) (none T) {
	t.Helper()
	for _, o := range c {
		if o, ok := o.(T); ok && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("no %T %s", none, name)
	return none
}

// pods returns the pod templates by the name of their Deployment or StatefulSet.
func (c cluster) pods() map[string]corev1.PodTemplateSpec {
	pods := map[string]corev1.PodTemplateSpec{}
	for _, o := range c {
		switch o := o.(type) {
		case *appsv1.Deployment:
			pods[o.Name] = o.Spec.Template
		case *appsv1.StatefulSet:
			pods[o.Name] = o.Spec.Template
		}
	}
	return pods
}

func TestKubernetesManifestsAreComplete(t *testing.T) {
	for dir, want := range map[string][]string{
		"deploy/kubernetes/base":     {"tandem", "valkey"},
		"deploy/kubernetes/postgres": {"postgres", "tandem", "valkey"},
	} {
		c := build(t, dir)
		pods := c.pods()
		if len(pods) != len(want) {
			t.Errorf("%s runs %d kinds of pods, want %v", dir, len(pods), want)
		}
		selected := func(what string, selector *metav1.LabelSelector) (found []corev1.PodTemplateSpec) {
			if errs := validation.ValidateLabelSelector(selector, validation.LabelSelectorValidationOptions{}, nil); len(errs) > 0 {
				t.Errorf("%s: %v, want none", what, errs)
			}
			s, err := metav1.LabelSelectorAsSelector(selector)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range pods {
				if s.Matches(labels.Set(p.Labels)) {
					found = append(found, p)
				}
			}
			if len(found) != 1 {
				t.Errorf("%s: %s selects %d kinds of pods", dir, what, len(found))
			}
			return found
		}
		for _, o := range c {
			switch o := o.(type) {
			case *appsv1.Deployment:
				selected(o.Name, o.Spec.Selector)
			case *appsv1.StatefulSet:
				selected(o.Name, o.Spec.Selector)
				find[*corev1.Service](t, c, o.Spec.ServiceName)
			case *policyv1.PodDisruptionBudget:
				selected(o.Name, o.Spec.Selector)
			case *corev1.Service:
				for _, p := range selected(o.Name, &metav1.LabelSelector{MatchLabels: o.Spec.Selector}) {
					for _, port := range o.Spec.Ports {
						knows(t, o.Name, p, port.TargetPort)
					}
				}
			case *networkingv1.NetworkPolicy:
				for _, p := range selected(o.Name, &o.Spec.PodSelector) {
					for _, in := range o.Spec.Ingress {
						for _, port := range in.Ports {
							knows(t, o.Name, p, *port.Port)
						}
					}
				}
			}
		}
		for name, p := range pods {
			confined(t, name, p.Spec)
			for _, container := range p.Spec.Containers {
				for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
					switch {
					case probe != nil && probe.HTTPGet != nil:
						knows(t, name, p, probe.HTTPGet.Port)
					case probe != nil && probe.TCPSocket != nil:
						knows(t, name, p, probe.TCPSocket.Port)
					}
				}
				for _, m := range container.VolumeMounts {
					inPod := slices.ContainsFunc(p.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
					if !inPod && !(name == "postgres" && m.Name == "data") { // a volume claim of the StatefulSet
						t.Errorf("%s mounts %s, which the pod does not have", name, m.Name)
					}
				}
			}
		}
	}
}

// knows fails the test if the pod does not have the port.
func knows(t *testing.T, who string, p corev1.PodTemplateSpec, port intstr.IntOrString) {
	t.Helper()
	for _, c := range p.Spec.Containers {
		for _, has := range c.Ports {
			if port.StrVal == has.Name && port.Type == intstr.String || port.IntVal == has.ContainerPort && port.Type == intstr.Int {
				return
			}
		}
	}
	t.Errorf("%s refers to port %s, which the pod does not have", who, &port)
}

// confined checks the pod against Kubernetes' "restricted" Pod Security Standard.
func confined(t *testing.T, name string, p corev1.PodSpec) {
	t.Helper()
	if s := p.SecurityContext; s == nil || s.RunAsNonRoot == nil || !*s.RunAsNonRoot || s.SeccompProfile == nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s may run as root, or without a seccomp profile", name)
	}
	for _, c := range p.Containers {
		s := c.SecurityContext
		if s == nil || s.AllowPrivilegeEscalation == nil || *s.AllowPrivilegeEscalation || s.Capabilities == nil || !slices.Contains(s.Capabilities.Drop, "ALL") {
			t.Errorf("%s keeps capabilities", name)
		}
		if c.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s has no memory limit", name)
		}
	}
}

// stopsWithin is the longest time that tandem takes to stop cleanly (stopWithin in the command line).
const stopsWithin = 10 * time.Second

func TestKubernetesStopsWithoutLoss(t *testing.T) {
	c := build(t, "deploy/kubernetes/base")
	d := find[*appsv1.Deployment](t, c, "tandem")
	pod := d.Spec.Template.Spec
	container := pod.Containers[0]
	if container.Lifecycle == nil || container.Lifecycle.PreStop == nil || container.Lifecycle.PreStop.Sleep == nil {
		t.Fatal("no preStop sleep lets load balancers stop routing before the port closes")
	}
	sleep := time.Duration(container.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace <= sleep+stopsWithin {
		t.Errorf("termination grace period = %v, want more than %v of preStop and %v of shutdown", grace, sleep, stopsWithin)
	}
	for name, want := range map[string]string{
		"liveness":  "/healthz",
		"startup":   "/healthz",
		"readiness": "/readyz",
	} {
		probe := map[string]*corev1.Probe{"liveness": container.LivenessProbe, "startup": container.StartupProbe, "readiness": container.ReadinessProbe}[name]
		if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != want {
			t.Errorf("the %s probe does not use %s", name, want)
		}
	}
	if u := d.Spec.Strategy.RollingUpdate; u == nil || u.MaxUnavailable.IntValue() != 0 || *d.Spec.Replicas < 2 {
		t.Error("a rolling restart stops nodes before their replacements run")
	}
	for _, spread := range pod.TopologySpreadConstraints {
		if s, err := metav1.LabelSelectorAsSelector(spread.LabelSelector); err != nil || !s.Matches(labels.Set(d.Spec.Template.Labels)) {
			t.Errorf("the pods are not spread over %s: %v", spread.TopologyKey, err)
		}
	}
	if len(pod.TopologySpreadConstraints) == 0 {
		t.Error("all pods may run on one machine")
	}
	budget := find[*policyv1.PodDisruptionBudget](t, c, "tandem").Spec
	if budget.MaxUnavailable == nil || budget.MaxUnavailable.IntValue() >= int(*d.Spec.Replicas) || budget.MaxUnavailable.IntValue() < 1 {
		t.Errorf("disruption budget = %v for %d nodes", budget.MaxUnavailable, *d.Spec.Replicas)
	}
}

// Every setting and every key of the Secret that the pods refer to must exist.
func TestKubernetesNamesExistingResources(t *testing.T) {
	c := build(t, "deploy/kubernetes/postgres")
	text, err := os.ReadFile(filepath.Join(root, "deploy/kubernetes/base/secret.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	secret := decode(t, text)[0].(*corev1.Secret)
	if secret.Name != "tandem" {
		t.Errorf("Secret = %s", secret.Name)
	}
	settings, err := os.ReadFile(filepath.Join(root, "program/settings.go"))
	if err != nil {
		t.Fatal(err)
	}
	known := func(name string) {
		if strings.HasPrefix(name, "TANDEM_") && !bytes.Contains(settings, fmt.Appendf(nil, "env:%q", name)) {
			t.Errorf("%s is not a setting", name)
		}
	}
	has := func(key string) {
		if _, ok := secret.StringData[key]; !ok && key != "postgres_password" { // documented in postgres/kustomization.yaml
			t.Errorf("the example Secret lacks %s", key)
		}
	}
	for _, pod := range c.pods() {
		for _, v := range pod.Spec.Volumes {
			if v.Secret != nil {
				for _, item := range v.Secret.Items {
					has(item.Key)
				}
			}
		}
		for _, container := range pod.Spec.Containers {
			for _, e := range container.Env {
				known(e.Name)
				if e.ValueFrom != nil {
					has(e.ValueFrom.SecretKeyRef.Key)
				}
			}
			for _, from := range container.EnvFrom {
				for name := range find[*corev1.ConfigMap](t, c, from.ConfigMapRef.Name).Data {
					known(name)
				}
			}
		}
	}
}
