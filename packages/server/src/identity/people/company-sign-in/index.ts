export { type ClientKeys, createClientKeys } from './client-key.ts';
export { browserCookie, createCompanySignInDoor, readBrowserCookie } from './handle.ts';
export { companySignInLimits } from './limits.ts';
export { type CompanySignIn, type CompanySignInDependencies, createCompanySignIn } from './sign-in.ts';
export { type Claims, whoIsKnown } from './who.ts';
