package reply

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const masked = "…"

var (
	// secretField is a JSON text whose name says that it is a secret, ended or
	// not; also within a text of JSON, where quotes have a backslash.
	secretField = regexp.MustCompile(`(?i)(\\*"[a-z0-9_]*(?:token|secret|password|assertion|private_key|sign|signature)\\*"\s*:\s*\\*")(?:[^"\\]|\\[^"])*`)
	// secretParam is the same as a form writes it.
	secretParam = regexp.MustCompile(`(?i)\b([a-z_]*(?:token|secret|password|assertion|sign|signature)=)[^&\s"<]+`)
	jwt         = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)?`)
	pem         = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`)
	// id is a part of a path that names an app, an account or a device.
	id = regexp.MustCompile(`^(?:[0-9]{5,}|[0-9A-Fa-f]{32,})$`)
)

// mask replaces hidden values in all spellings that an answer may have them in.
type mask struct {
	values  *strings.Replacer
	longest int // bytes of the longest spelling
}

func newMask(hidden []string) mask {
	var all []string
	for _, v := range hidden {
		all = append(all, spellings(v)...)
	}
	// At one place the first that fits wins, so the longest must come first.
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) })
	m := mask{}
	pairs := make([]string, 0, 2*len(all))
	for _, v := range all {
		m.longest = max(m.longest, len(v))
		pairs = append(pairs, v, masked)
	}
	m.values = strings.NewReplacer(pairs...)
	return m
}

func spellings(v string) []string {
	all := []string{
		v, strings.ToLower(v), strings.ToUpper(v), url.QueryEscape(v), url.PathEscape(v), strings.ReplaceAll(v, "/", `\/`),
	}
	all = append(all, encoded(v)...)
	quoted := v
	for range 2 { // JSON, and a text of JSON within it
		raw, err := json.Marshal(quoted)
		if err != nil {
			break // strings always encode
		}
		quoted = string(raw[1 : len(raw)-1])
		all = append(all, quoted)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// minEncoded is the shortest base64 that is masked; less shows by chance.
const minEncoded = 6

// encoded are the characters of base64 that v makes wherever it begins in what
// was encoded, as "user:v" does, without those that its neighbours have part in.
func encoded(v string) (all []string) {
	for before := range 3 {
		raw := append(make([]byte, before), v...)
		first, last := (before*8+5)/6, len(raw)*8/6
		if last-first < minEncoded {
			continue
		}
		for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			s := e.EncodeToString(raw)[first:last]
			all = append(all, s, strings.ReplaceAll(s, "/", `\/`))
		}
	}
	return all
}

// text masks s. cut says that s goes on: what may be the begin of a value at
// its end is dropped.
func (m mask) text(s string, cut bool) string {
	s = strings.ToValidUTF8(m.values.Replace(s), "�")
	if cut {
		s = s[:max(len(s)-m.longest, 0)]
	}
	s = pem.ReplaceAllString(s, masked)
	s = jwt.ReplaceAllString(s, masked)
	s = secretField.ReplaceAllString(s, "${1}"+masked)
	return secretParam.ReplaceAllString(s, "${1}"+masked)
}

// path masks the ids in a path too.
func (m mask) path(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts {
		if id.MatchString(part) {
			parts[i] = masked
		}
	}
	return m.text(strings.Join(parts, "/"), false)
}

// bounded keeps at most most bytes of s, whole characters.
func bounded(s string, most int) string {
	if len(s) <= most {
		return strings.ToValidUTF8(s, "")
	}
	end := most - len(masked)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + masked
}
