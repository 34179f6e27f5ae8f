// Empty: with an assembly file in the package, the compiler takes a function
// without a body (ownLabels).
