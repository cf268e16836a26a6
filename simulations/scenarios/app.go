package scenarios

import (
	"encoding/json"
	"fmt"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/encoding/protojson"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Settings of the app. The error names a setting that is unknown or out of its
// bounds.
func (s *Scenario) Settings() (*rousev1.AppSettings, error) {
	settings := &rousev1.AppSettings{}
	if len(s.App) == 0 {
		return settings, nil
	}
	text, err := json.Marshal(s.App)
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	if err := protojson.Unmarshal(text, settings); err != nil {
		return nil, fmt.Errorf("app: %w; the settings are those of rouse.v1.AppSettings", err)
	}
	if err := protovalidate.Validate(settings); err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	return settings, nil
}
