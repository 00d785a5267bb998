// WebServiceTests
