// ASMServiceTests
