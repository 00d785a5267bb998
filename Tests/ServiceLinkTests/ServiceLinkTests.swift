// ServiceLinkTests
