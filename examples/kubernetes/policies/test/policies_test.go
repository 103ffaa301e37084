// Package policies runs the policies of the folders beside it by the API server's own code: its admission plugin, called as the
// server calls it, with Jobs as the controller of VolSync's kopia fork makes them and with Jobs of others.
//
// The plugin runs policies of the version v1. Those of v1beta1 are read by their own types and become v1, as in a server that
// stores one and runs the other: their fields are the same.
package policies

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/api/admissionregistration/v1beta1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/initializer"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/util/compatibility"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/client-go/discovery"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/openapi/openapitest"
	sigsyaml "sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the expected Jobs anew")

// What a cluster has of the policies: one of the two for the repository.
var sets = map[string][]string{
	"nfs":   {"restore-image.yaml", "repository-nfs.yaml", "jitter.yaml"},
	"claim": {"restore-image.yaml", "repository-claim.yaml", "jitter.yaml"},
}

// client is a cluster without a server, which has the published schemas of one.
type client struct{ *fake.Clientset }

func (c client) Discovery() discovery.DiscoveryInterfaces { return schemas{c.Clientset.Discovery()} }

type schemas struct{ discovery.DiscoveryInterfaces }

func (schemas) OpenAPIV3() openapi.Client { return openapitest.NewEmbeddedFileClient() }

// The versions of the policies' API, each with a folder of its own.
var versions = []string{"v1", "v1beta1"}

// asV1 makes objects of v1beta1 such of v1, which must lose nothing.
func asV1(t *testing.T, object runtime.Object) runtime.Object {
	t.Helper()
	var converted runtime.Object
	switch object.(type) {
	case *v1beta1.MutatingAdmissionPolicy:
		converted = &v1.MutatingAdmissionPolicy{}
	case *v1beta1.MutatingAdmissionPolicyBinding:
		converted = &v1.MutatingAdmissionPolicyBinding{}
	default:
		t.Fatalf("%T is no policy of v1beta1", object)
	}
	before, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	before = bytes.ReplaceAll(before, []byte(v1beta1.SchemeGroupVersion.String()), []byte(v1.SchemeGroupVersion.String()))
	decoder := json.NewDecoder(bytes.NewReader(before))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(converted); err != nil {
		t.Fatal(err)
	}
	after, err := json.Marshal(converted)
	if err != nil || !bytes.Equal(before, after) {
		t.Fatalf("%v: %s became %s", err, before, after)
	}
	return converted
}

// decode reads every document of a file, and refuses unknown and doubled fields.
func decode(t *testing.T, file string) []runtime.Object {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	var objects []runtime.Object
	for {
		document, err := documents.Read()
		if err == io.EOF {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		object, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		objects = append(objects, object)
	}
}

func job(t *testing.T, file string) *batchv1.Job {
	t.Helper()
	return decode(t, file)[0].(*batchv1.Job)
}

// server is the chain of admission plugins of a server that has these policies.
func server(t *testing.T, version string, files []string) admission.MutationInterface {
	t.Helper()
	objects := []runtime.Object{namespace("media"), namespace("other")}
	for _, file := range files {
		documents := decode(t, filepath.Join("..", version, file))
		if len(documents) != 2 {
			t.Fatalf("%s: a policy and its binding are expected", file)
		}
		if version == "v1beta1" {
			documents[0], documents[1] = asV1(t, documents[0]), asV1(t, documents[1])
		}
		policy, binding := documents[0].(*mutating.Policy), documents[1].(*mutating.PolicyBinding)
		if binding.Spec.PolicyName != policy.Name {
			t.Fatalf("%s: %s is not bound", file, policy.Name)
		}
		setDefaults(policy.Spec.MatchConstraints)
		objects = append(objects, policy, binding)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cluster := client{fake.NewClientset(objects...)}
	shared := informers.NewSharedInformerFactory(cluster, 0)
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(batchv1.SchemeGroupVersion.WithKind("Job"), meta.RESTScopeNamespace)
	initialize := initializer.New(cluster, dynamicfake.NewSimpleDynamicClient(scheme.Scheme), shared, authorizerfactory.NewAlwaysDenyAuthorizer(),
		utilfeature.DefaultFeatureGate, compatibility.DefaultBuildEffectiveVersion(), ctx.Done(), mapper)
	plugins := admission.NewPlugins()
	mutating.Register(plugins)
	chain, err := plugins.NewFromPlugins([]string{mutating.PluginName}, noConfig{}, initialize, admission.DecoratorFunc(
		func(handler admission.Interface, _ string) admission.Interface { return handler }))
	if err != nil {
		t.Fatal(err)
	}
	shared.Start(ctx.Done())
	shared.WaitForCacheSync(ctx.Done())
	return chain.(admission.MutationInterface)
}

// setDefaults does what the server does before it stores a policy.
func setDefaults(match *v1.MatchResources) {
	if match.NamespaceSelector == nil {
		match.NamespaceSelector = &metav1.LabelSelector{}
	}
	if match.ObjectSelector == nil {
		match.ObjectSelector = &metav1.LabelSelector{}
	}
	if match.MatchPolicy == nil {
		equivalent := v1.Equivalent
		match.MatchPolicy = &equivalent
	}
	all := v1.AllScopes
	for i := range match.ResourceRules {
		if match.ResourceRules[i].Scope == nil {
			match.ResourceRules[i].Scope = &all
		}
	}
}

type noConfig struct{}

func (noConfig) ConfigFor(string) (io.Reader, error) { return nil, nil }

func namespace(name string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// admit sends a Job to the server: a new one if there is no old one. It returns what the server would store.
func admit(t *testing.T, server admission.MutationInterface, new, old *batchv1.Job) *batchv1.Job {
	t.Helper()
	stored := new.DeepCopy()
	operation, options := admission.Create, runtime.Object(&metav1.CreateOptions{})
	var before runtime.Object
	if old != nil {
		operation, options, before = admission.Update, &metav1.UpdateOptions{}, old.DeepCopy()
	}
	request := admission.NewAttributesRecord(stored, before, batchv1.SchemeGroupVersion.WithKind("Job"), new.Namespace, new.Name,
		batchv1.SchemeGroupVersion.WithResource("jobs"), "", operation, options, false, &user.DefaultInfo{Name: "controller"})
	err := server.Admit(context.Background(), request, admission.NewObjectInterfacesFromScheme(scheme.Scheme))
	if err != nil {
		t.Fatalf("%s refused: %v", operation, err)
	}
	// The conversions in between leave it out.
	stored.SetGroupVersionKind(batchv1.SchemeGroupVersion.WithKind("Job"))
	return stored
}

func same(t *testing.T, what string, want, got *batchv1.Job) {
	t.Helper()
	if !equality.Semantic.DeepEqual(want, got) {
		t.Errorf("%s: want\n%s\ngot\n%s", what, text(t, want), text(t, got))
	}
}

func text(t *testing.T, job *batchv1.Job) []byte {
	t.Helper()
	text, err := sigsyaml.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// eachVersion runs a test for both versions of the API and every set of policies.
func eachVersion(t *testing.T, test func(t *testing.T, set string, server admission.MutationInterface)) {
	for _, version := range versions {
		for set, files := range sets {
			t.Run(version+"/"+set, func(t *testing.T) { test(t, set, server(t, version, files)) })
		}
	}
}

func each(t *testing.T, folder string, test func(t *testing.T, name string, job *batchv1.Job)) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("jobs", folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no Jobs in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			test(t, filepath.Base(file), job(t, file))
		})
	}
}

func TestMovers(t *testing.T) {
	eachVersion(t, func(t *testing.T, set string, server admission.MutationInterface) {
		each(t, "ours", func(t *testing.T, name string, made *batchv1.Job) {
			stored := admit(t, server, made, nil)
			expected := filepath.Join("expected", set, name)
			if *update {
				if err := os.MkdirAll(filepath.Dir(expected), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(expected, text(t, stored), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			same(t, "created", job(t, expected), stored)
			same(t, "created again", stored, admit(t, server, stored, nil))
			// The controller writes its own template whenever it looks at the Job. What is stored cannot be changed, so it
			// must come out as it was.
			same(t, "written by the controller", stored, admit(t, server, made, stored))
			same(t, "updated as it is", stored, admit(t, server, stored, stored))
			same(t, "of the time before the policies", made, admit(t, server, made, made))
		})
	})
}

func TestJobsOfOthers(t *testing.T) {
	eachVersion(t, func(t *testing.T, _ string, server admission.MutationInterface) {
		each(t, "foreign", func(t *testing.T, _ string, made *batchv1.Job) {
			same(t, "created", made, admit(t, server, made, nil))
			same(t, "updated", made, admit(t, server, made, made))
		})
	})
}

// Each policy does its own part, whichever others there are.
func TestPoliciesAlone(t *testing.T) {
	changed := map[string][]string{
		"restore-image.yaml": {"restore-plain.yaml", "restore-privileged.yaml", "restore.yaml"},
		"repository-nfs.yaml": {"backup.yaml", "maintenance-manual.yaml", "maintenance-scheduled.yaml", "restore-plain.yaml",
			"restore-privileged.yaml", "restore.yaml"},
		"repository-claim.yaml": {"backup.yaml", "maintenance-manual.yaml", "maintenance-scheduled.yaml", "restore-plain.yaml",
			"restore-privileged.yaml", "restore.yaml"},
		"jitter.yaml": {"backup.yaml"},
	}
	for policy, jobs := range changed {
		t.Run(strings.TrimSuffix(policy, ".yaml"), func(t *testing.T) {
			server := server(t, "v1", []string{policy})
			var got []string
			each(t, "ours", func(t *testing.T, name string, made *batchv1.Job) {
				stored := admit(t, server, made, nil)
				if !equality.Semantic.DeepEqual(made, stored) {
					got = append(got, name)
				}
				same(t, "written by the controller", stored, admit(t, server, made, stored))
			})
			if !reflect.DeepEqual(got, jobs) {
				t.Errorf("want %v changed, got %v", jobs, got)
			}
		})
	}
}

// A volume or an init container that a Job brings with it stays, and is not doubled.
func TestWhatIsThereStays(t *testing.T) {
	server := server(t, "v1", sets["nfs"])
	made := job(t, "jobs/ours/backup.yaml")
	made.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "mine", Image: "docker.io/library/busybox:1.37"}}
	stored := admit(t, server, made, nil)
	if got := stored.Spec.Template.Spec.InitContainers; len(got) != 2 || got[0].Name != "mine" || got[1].Name != "jitter" {
		t.Errorf("init containers: %v", got)
	}
	same(t, "written by the controller", stored, admit(t, server, made, stored))

	made = job(t, "jobs/ours/restore.yaml")
	spec := &made.Spec.Template.Spec
	spec.Volumes = append(spec.Volumes, corev1.Volume{Name: "u-kopia"})
	spec.Containers[0].VolumeMounts = append(spec.Containers[0].VolumeMounts, corev1.VolumeMount{
		Name: "u-kopia", MountPath: "/repository"})
	stored = admit(t, server, made, nil)
	if len(stored.Spec.Template.Spec.Volumes) != len(spec.Volumes) {
		t.Errorf("volumes: %v", stored.Spec.Template.Spec.Volumes)
	}
}
