package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/demo"
	"github.com/rouse-im/rouse/internal/rpc"
)

type credentialVerb struct {
	Put      credentialPut      `cmd:"" help:"Create or replace a credential from a JSON file or from flags."`
	List     credentialList     `cmd:"" help:"List the credentials of an app."`
	Status   credentialStatus   `cmd:"" help:"Show whether pushes can go through a credential, and what is used of its quotas."`
	Validate credentialValidate `cmd:"" help:"Ask the vendor whether it takes a credential; no device gets anything."`
	Test     credentialTest     `cmd:"" help:"Send one notification to one token and show the vendor's answer."`
	Delete   credentialDelete   `cmd:"" help:"Delete a credential; pushes that wait for it fail."`
}

type credentialPut struct {
	remote
	File string `arg:"" optional:"" help:"JSON of a rouse.v1.Credential, as serve-fakes writes it. Flags win over it."`
	Name string `help:"Name of the credential: what bindings call the notifier."`
	Rate uint32 `help:"Pushes per second to the vendor; 0: the vendor's limit." placeholder:"N"`

	Validate     bool          `help:"Ask the vendor first, and store nothing when it refuses."`
	KeepPrevious time.Duration `help:"Rotation: while the vendor refuses the new secrets, go on with the old ones, at most so long; up to 720h." placeholder:"24h"`

	BundleID string `help:"APNs: bundle id of the app." group:"APNs"`
	AuthKey  string `help:"APNs: .p8 file." placeholder:"FILE" group:"APNs"`
	KeyID    string `help:"APNs: id of the .p8 key." group:"APNs"`
	TeamID   string `help:"APNs: id of the team." group:"APNs"`
	VoIP     bool   `name:"voip" help:"APNs: the tokens are PushKit's." group:"APNs"`
	Sandbox  bool   `help:"APNs: the sandbox environment." group:"APNs"`

	ServiceAccount string `help:"FCM: service-account file." placeholder:"FILE" group:"FCM"`
	Channel        string `help:"FCM: Android channel of notifications." group:"FCM"`
	DataOnly       bool   `help:"FCM: send data messages; the app draws." group:"FCM"`

	Endpoint string `help:"Other origin than the vendor's, for tests and proxies." placeholder:"URL"`
	Roots    string `help:"Trusted roots (PEM) of that origin." placeholder:"FILE"`
}

// Help teaches by example.
func (*credentialPut) Help() string {
	return `Examples:

    rouse credential put --app chat rouse-fakes/ios.json
    rouse credential put --app chat huawei.json --validate
    rouse credential put --app chat huawei.json --keep-previous 24h
    rouse credential put --app chat --name ios --bundle-id im.example.chat --auth-key AuthKey_ABC123DEFG.p8 --key-id ABC123DEFG --team-id TEAM123456
    rouse credential put --app chat --name android --service-account firebase.json`
}

// Run puts the credential.
func (v *credentialPut) Run(c *call) error {
	credential, err := v.credential()
	if err != nil {
		return err
	}
	put := &rousev1.PutCredentialRequest{Credential: credential, Validate: v.Validate}
	if v.KeepPrevious != 0 {
		put.KeepPrevious = durationpb.New(v.KeepPrevious)
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.PutCredentialResponse, error) {
		return s.Admin.PutCredential(c.ctx, put)
	}, func(r *rousev1.PutCredentialResponse) error {
		return c.say("put the credential %s; bindings name it as their notifier", r.GetCredential().GetName())
	})
}

// credential is the file's, with what the flags say.
func (v *credentialPut) credential() (*rousev1.Credential, error) {
	k := &rousev1.Credential{}
	if v.File != "" {
		var err error
		if k, err = readCredential(v.File); err != nil {
			return nil, err
		}
	}
	if v.Name != "" {
		k.Name = v.Name
	}
	if v.Rate != 0 {
		k.RatePerSecond = v.Rate
	}
	switch {
	case v.BundleID != "" && v.ServiceAccount != "":
		return nil, errors.New("--bundle-id is for APNs, --service-account for FCM; give one of them")
	case v.BundleID != "":
		return k, v.apns(k)
	case v.ServiceAccount != "":
		return k, v.fcm(k)
	case v.File == "":
		return nil, errors.New("which vendor? name a JSON file for any, or --bundle-id for APNs, or --service-account for FCM")
	}
	return k, nil
}

// readCredential reads JSON of a credential. The decoder's error may quote the
// file, and so a secret.
func readCredential(path string) (*rousev1.Credential, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k := &rousev1.Credential{}
	if protojson.Unmarshal(text, k) != nil {
		return nil, fmt.Errorf("%s is no JSON of a credential; fields are those of rouse.v1.Credential", path)
	}
	return k, nil
}

func (v *credentialPut) apns(k *rousev1.Credential) error {
	a := &rousev1.ApnsCredential{BundleId: v.BundleID, KeyId: v.KeyID, TeamId: v.TeamID, Voip: v.VoIP, Sandbox: v.Sandbox, Endpoint: v.Endpoint}
	k.Vendor = &rousev1.Credential_Apns{Apns: a}
	return errors.Join(readInto(&a.AuthKeyPem, v.AuthKey), readInto(&a.CaPem, v.Roots))
}

func (v *credentialPut) fcm(k *rousev1.Credential) error {
	f := &rousev1.FcmCredential{ChannelId: v.Channel, DataOnly: v.DataOnly, Endpoint: v.Endpoint}
	k.Vendor = &rousev1.Credential_Fcm{Fcm: f}
	return errors.Join(readInto(&f.ServiceAccountJson, v.ServiceAccount), readInto(&f.CaPem, v.Roots))
}

// readInto reads a file into a field; an empty path leaves it.
func readInto(field *string, path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	*field = string(text)
	return err
}

type credentialList struct{ remote }

// Run lists credentials without their secrets.
func (v *credentialList) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ListCredentialsResponse, error) {
		return s.Admin.ListCredentials(c.ctx, &rousev1.ListCredentialsRequest{})
	}, func(r *rousev1.ListCredentialsResponse) error {
		var rows [][]string
		for _, k := range r.GetCredentials() {
			vendor, app, to := describe(k)
			state := "enabled"
			if k.GetDisabled() {
				state = "disabled"
			}
			rows = append(rows, []string{k.GetName(), vendor, state, dash(app), dash(to)})
		}
		return c.table([]string{"NOTIFIER", "VENDOR", "STATE", "APP", "ENDPOINT"}, rows)
	})
}

// describe names the vendor of a credential, the app there (empty for a service
// account, which is a secret) and the endpoint, if it is not the vendor's own.
func describe(k *rousev1.Credential) (vendor, app, to string) {
	m := k.ProtoReflect()
	kind := m.WhichOneof(m.Descriptor().Oneofs().ByName("vendor"))
	if kind == nil {
		return "-", "", ""
	}
	own := m.Get(kind).Message()
	field := func(name protoreflect.Name) string {
		if f := own.Descriptor().Fields().ByName(name); f != nil {
			return own.Get(f).String()
		}
		return ""
	}
	if vendor = demo.Name(string(kind.Name())); k.GetApns().GetVoip() {
		vendor += " VoIP"
	}
	for _, name := range []protoreflect.Name{"bundle_id", "app_id", "package_name", "app_key", "project_id"} {
		if app = field(name); app != "" {
			break
		}
	}
	return vendor, app, field("endpoint")
}

type credentialDelete struct {
	remote
	Name string `arg:"" help:"Name of the credential."`
}

// Run deletes the credential.
func (v *credentialDelete) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.DeleteCredentialResponse, error) {
		return s.Admin.DeleteCredential(c.ctx, &rousev1.DeleteCredentialRequest{Name: v.Name})
	}, func(_ *rousev1.DeleteCredentialResponse) error {
		return c.say("deleted the credential %s", v.Name)
	})
}
