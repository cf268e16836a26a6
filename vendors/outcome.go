package vendors

// String names an outcome for metrics and logs; the set is closed.
func (o Outcome) String() string {
	switch o {
	case Accepted:
		return "accepted"
	case TokenInvalid:
		return "token_invalid"
	case TokenReplaced:
		return "token_replaced"
	case Throttled:
		return "throttled"
	case QuotaExhausted:
		return "quota_exhausted"
	case Transient:
		return "transient"
	case Rejected:
		return "rejected"
	case CredentialBad:
		return "credential_bad"
	}
	return "unknown"
}
