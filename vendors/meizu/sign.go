package meizu

import (
	"crypto/md5"
	"encoding/hex"
	"io"
	"maps"
	"net/url"
	"slices"
)

// sign adds the signature: MD5 over the parameters in order of their names, as
// "name=value" without anything between them and before any encoding, and the
// secret behind (PushAPI README, "sign").
func sign(form url.Values, secret string) {
	h := md5.New()
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "sign" {
			_, _ = io.WriteString(h, name+"="+form.Get(name)) // a hash takes all
		}
	}
	_, _ = io.WriteString(h, secret)
	form.Set("sign", hex.EncodeToString(h.Sum(nil)))
}
