// ASMService
